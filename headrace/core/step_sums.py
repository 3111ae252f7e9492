"""What all steps of a fleet have taken together: enough to fit how long a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from headrace.core.histogram import SUM_UNIT

IN_MILLIONTHS = ("s", "rs", "ps")


@dataclass(frozen=True, slots=True)
class StepSums:
    """Sums over the steps of all workers since counting began, of which a step curve is fitted.

    A step takes `s` seconds for `r` decoding rows and `p` tokens of prompts, from the one before it
    on: what a worker does between steps counts.
    """

    n: int = 0
    r: float = 0.0
    p: float = 0.0
    s: float = 0.0
    rr: float = 0.0
    rp: float = 0.0
    pp: float = 0.0
    rs: float = 0.0
    ps: float = 0.0

    @classmethod
    def of_counts(cls, counts: Mapping[str, int]) -> StepSums:
        """Of the fields `steps:…` that workers add to (`counters.py`)."""

        def total(name: str) -> float:
            count = counts.get(f"steps:{name}", 0)
            return count / SUM_UNIT if name in IN_MILLIONTHS else count

        return cls(counts.get("steps:n", 0), *map(total, NAMES[1:]))

    def plus(self, other: StepSums) -> StepSums:
        return StepSums(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def minus(self, before: StepSums) -> StepSums:
        """What was added between two readings."""
        return StepSums(*(getattr(self, name) - getattr(before, name) for name in NAMES))

    def times(self, share: float) -> StepSums:
        """With a share of their weight; `n` is no whole number then."""
        return StepSums(*(share * getattr(self, name) for name in NAMES))


NAMES = tuple(field.name for field in fields(StepSums))
