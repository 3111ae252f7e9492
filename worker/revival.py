"""Loading an engine anew that has died."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from headrace.core.clock import Clock
from headrace.core.errors import EngineError
from worker.backoff import Backoff
from worker.engine_port import EnginePort

PAUSE_S = 0.2
"""How soon a worker that waits for its engine heeds a signal."""

log = structlog.get_logger()


class Revival:
    """Tries as often as it takes, with ever longer pauses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._backoff = Backoff(clock)

    def revive(self, engine: EnginePort, is_over: Callable[[], bool]) -> bool:
        """Returns True once the engine is loaded, False as soon as `is_over`.

        Raises `ModelError` where its model cannot be loaded any more.
        """
        while not is_over():
            self._pause(self._backoff.wait_s(), is_over)
            try:
                if engine.restart(is_over):
                    return True
            except EngineError as error:
                log.error("engine does not start", error=str(error))
        return False

    def _pause(self, wait_s: float, is_over: Callable[[], bool]) -> None:
        until = self._clock.now() + wait_s
        while not is_over() and self._clock.now() < until:
            self._clock.sleep(min(PAUSE_S, wait_s))
