"""When requests enter an engine: before every step, or in closed micro-batches."""

from __future__ import annotations

from typing import Protocol

from headrace.core.clock import Clock
from headrace.core.settings import Settings
from headrace.core.types import NO_ROOM, Room


class Admission(Protocol):
    """Stands between the queue and an engine; `running` counts the requests inside the engine.

    `may_preempt` says whether a running request may make room for another one.
    """

    may_preempt: bool

    def room(self, free: Room, running: int) -> Room:
        """How much of the engine's `free` room may be claimed now."""

    def admitted(self, count: int) -> None:
        """Says that `count` requests of that room were claimed and added."""

    def may_step(self, running: int) -> bool:
        """Whether the engine should step now."""

    def wait_s(self, running: int) -> float | None:
        """Seconds until `may_step` may turn true by itself; None: only a request can do that."""


class ContinuousAdmission:
    """Fills free slots before every step."""

    may_preempt = True

    def room(self, free: Room, running: int) -> Room:
        return free

    def admitted(self, count: int) -> None:
        """Nothing depends on it."""

    def may_step(self, running: int) -> bool:
        return running > 0

    def wait_s(self, running: int) -> float | None:
        return 0.0 if running else None


class MicroBatchAdmission:
    """Collects a batch until it is full or `wait_s` old, then runs it to its end.

    The age counts from the first request of the batch.
    """

    may_preempt = False

    def __init__(self, wait_s: float, clock: Clock) -> None:
        self._wait_s = wait_s
        self._clock = clock
        self._opened_at: float | None = None
        self._slots_left: int | None = None
        self._closed = False

    def room(self, free: Room, running: int) -> Room:
        if running == 0:
            self._opened_at, self._closed = None, False
        if self._closed:
            return NO_ROOM
        self._slots_left = free.slots if free.tokens > 0 else 0
        return free

    def admitted(self, count: int) -> None:
        if count and self._opened_at is None:
            self._opened_at = self._clock.now()
        if self._slots_left is not None:
            self._slots_left -= count

    def may_step(self, running: int) -> bool:
        if running and self.wait_s(running) == 0.0:
            self._closed = True
        return running > 0 and self._closed

    def wait_s(self, running: int) -> float | None:
        if running == 0 or self._opened_at is None:
            return None
        if self._closed or self._slots_left == 0:
            return 0.0
        return max(0.0, self._opened_at + self._wait_s - self._clock.now())


def make_admission(settings: Settings, clock: Clock) -> Admission:
    if settings.admission == "micro":
        return MicroBatchAdmission(settings.batch_wait_ms / 1000, clock)
    return ContinuousAdmission()
