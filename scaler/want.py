"""What a law asks for, before any guard has looked at it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Want:
    """`size` workers for this `reason`; a fleet that shrinks keeps `keep` of them.

    `urgent`: callers wait already, so nothing waits for a second tick.
    """

    size: int
    keep: int
    reason: str
    urgent: bool = False
    slo_infeasible: bool = False
