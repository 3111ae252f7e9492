"""What the canaries of the last minutes say."""

from __future__ import annotations

from collections import Counter, deque
from statistics import median

from headrace.monitor.canary import Flight

BAD_IN_A_ROW, GOOD_IN_A_ROW = 2, 3
"""So many raise the alert, and so many clear it."""

RECENT_S = 300.0
LEAST = 20
"""Of fewer flights no median is taken."""


class Aviary:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last: Flight | None = None
        self.is_late = False
        self._in_a_row = 0
        self._recent: deque[tuple[float, float]] = deque()

    @property
    def is_calm(self) -> bool:
        """All is well, and for long enough: the next canary may take its time."""
        return self.last is None or (self.last.outcome == "good" and not self.is_late)

    def note(self, flight: Flight, at: float) -> None:
        was_good = self.last is None or self.last.outcome == "good"
        is_good = flight.outcome == "good"
        self._in_a_row = self._in_a_row + 1 if is_good == was_good else 1
        self.last = flight
        self.counts[flight.outcome] += 1
        if self._in_a_row >= (GOOD_IN_A_ROW if is_good else BAD_IN_A_ROW):
            self.is_late = not is_good
        self._recent.append((at, flight.ttft_s))
        while self._recent[0][0] < at - RECENT_S:
            self._recent.popleft()

    def median_s(self, now: float, seconds: float = RECENT_S, least: int = LEAST) -> float | None:
        """Of the flights of the last seconds; None of too few."""
        times = [ttft_s for at, ttft_s in self._recent if at >= now - seconds]
        return median(times) if len(times) >= least else None
