"""What one level left behind, before any figure is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.loadtest.in_flight import InFlight
from headrace.loadtest.loads import Load
from headrace.loadtest.record import Record


@dataclass(frozen=True)
class Measurement:
    """All requests of a level, those of the warm-up included; times of the event loop's clock."""

    load: Load
    start: float
    end: float
    last_sent: float
    records: Sequence[Record]
    in_flight: InFlight
    ticks_late_s: Sequence[float]
    cpu_s: float
    is_interrupted: bool
    thinking: InFlight = field(default_factory=InFlight)
    """Callers between an answer and their next turn."""

    @property
    def window_s(self) -> float:
        return self.end - self.start

    @property
    def counted(self) -> list[Record]:
        """Sent in the window and at their end, in the order in which they were sent."""
        return [record for record in self.records if record.measured and record.done is not None]

    @property
    def offered_per_s(self) -> float:
        """Requests that the load sent in the window, a second."""
        sent = sum(record.measured for record in self.records)
        return sent / self.window_s if self.window_s > 0 else 0.0

    @property
    def left_open(self) -> int:
        return sum(record.done is None for record in self.records)

    @property
    def completions(self) -> list[Record]:
        """Answered inside the window, whenever sent."""
        return [
            record
            for record in self.records
            if record.done is not None and self.start < record.done <= self.end
        ]
