"""What a policy says: how many workers there should be, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """`size` is the desired number of workers; `reason` says in plain words why.

    `holds`: the readings cannot be trusted, so the fleet is to stay as it is, whatever `size` says.
    `slo_infeasible`: steps take longer than `slo_tpot_s`, and more workers are no cure.
    `crash_loop`: workers die as they come, so no more of them are started.
    `is_limited`: further workers did not raise the throughput, so there are to be no more.
    `is_bounded`: more would be wanted than there may be; the reason says how many.
    """

    size: int
    reason: str
    holds: bool = False
    slo_infeasible: bool = False
    crash_loop: bool = False
    is_limited: bool = False
    is_bounded: bool = False
