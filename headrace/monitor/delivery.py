"""Brings what changed to a sink, in order, and again until it was heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import httpx
import structlog

from headrace.core.clock import Clock
from headrace.core.readings.alert import Alert
from headrace.monitor.sinks import Sink

REPEAT_S = 10.0

log = structlog.get_logger()


class Delivery:
    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._pending: deque[Alert] = deque()
        self._active: Sequence[Alert] = ()
        self._told_at = clock.now()
        self._was_heard = True

    def hand_in(self, changed: Iterable[Alert], active: Sequence[Alert]) -> None:
        self._pending.extend(changed)
        self._active = active

    def turn(self) -> None:
        """Tells what is pending; keeps it where that fails, and says so once."""
        try:
            while self._pending:
                self._tell([self._pending[0]])
                self._pending.popleft()
            if self._sink.repeats and self._clock.now() - self._told_at >= REPEAT_S:
                self._tell(())
        except httpx.HTTPError as error:
            if self._was_heard:
                log.warning(
                    "alerts are not heard", sink=type(self._sink).__name__, error=str(error)
                )
            self._was_heard = False

    def _tell(self, changed: Sequence[Alert]) -> None:
        self._sink.tell(changed, self._active)
        self._told_at, self._was_heard = self._clock.now(), True
