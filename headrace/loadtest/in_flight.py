"""How many requests were under way at each time, told by begins and ends alone.

Kept apart from the records of requests, so that Little's law can check one by the other.
"""

from __future__ import annotations

from itertools import pairwise


class InFlight:
    """Times in s of one clock; they may come out of order."""

    def __init__(self) -> None:
        self._changes: list[tuple[float, int]] = []

    def begin(self, at: float) -> None:
        self._changes.append((at, 1))

    def end(self, at: float) -> None:
        self._changes.append((at, -1))

    def mean(self, start: float, end: float) -> float:
        """The time average from `start` to `end`; 0 where that is no time."""
        if end <= start:
            return 0.0
        return self._area(start, end) / (end - start)

    def _area(self, start: float, end: float) -> float:
        """Request-seconds between the two times."""
        area, count = 0.0, 0
        changes = sorted(self._changes)
        for (at, change), (until, _) in pairwise([*changes, (end, 0)]):
            count += change
            area += count * max(0.0, min(until, end) - max(at, start))
        return area
