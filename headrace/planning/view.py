"""What a policy can see of the fleet, and how policies are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scaler.readings import Reading


@dataclass(frozen=True)
class View:
    """`waiting` and `running` count jobs; `desired` is the present size; `p95_s` of a minute."""

    now: float
    waiting: int
    running: int
    ready: int
    desired: int
    reading: Reading | None = None


class Scaler(Protocol):
    """`every_s`: how often it is asked. `is_ours`: it reads `View.reading`, and drains at leisure.

    Workers that others take away get SIGTERM: they take no more jobs and are killed after the
    grace that Kubernetes gives, 30 s.
    """

    every_s: float
    is_ours: bool

    def size(self, view: View) -> int:
        """The number of workers that there should be from now on."""
