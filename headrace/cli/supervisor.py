"""Keeps Redis, API, workers, monitor and scaler of one machine alive, and ends them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from headrace.cli.child import Child
from headrace.cli.crew import Crew
from headrace.cli.process import how_it_ended
from headrace.core.clock import Clock
from headrace.core.errors import CANNOT_EVER, ModelError

log = structlog.get_logger()

TICK_S = 0.2
LAST_S = 5.0
"""What a part may take to end once it has been hurried."""

HURRY_AFTER_S = 0.2
HURRY_EVERY_S = 1.0


@dataclass
class Children:
    """What is supervised.

    `redis` is empty where Redis is somebody else's, `scaler` where the number of workers stands.
    """

    redis: Sequence[Child]
    model: Child
    workers: Crew
    api: Child
    monitor: Child
    scaler: Sequence[Child] = ()


class Supervisor:
    """Starts, watches and drains; one thread, one loop.

    `is_redis_ready` may raise to give up the start; `is_serving` is asked until it is true once,
    then `announce` is called. `beat` is called at every tick. `grace_s` is how long they all
    together may take to finish what runs.
    """

    def __init__(
        self,
        children: Children,
        *,
        is_redis_ready: Callable[[], bool],
        is_serving: Callable[[], bool],
        announce: Callable[[], None],
        beat: Callable[[], None],
        grace_s: float,
        clock: Clock,
    ) -> None:
        self._children = children
        self._is_redis_ready = is_redis_ready
        self._is_serving = is_serving
        self._announce = announce
        self._beat = beat
        self._grace_s = grace_s
        self._clock = clock
        self._watched: list[Child | Crew] = []
        self._stop_requests = 0
        self._drain_until = clock.now()

    def request_stop(self) -> None:
        """Begins to drain; asked again, lets workers give their jobs back instead."""
        self._stop_requests += 1

    def run(self) -> None:
        """Returns when it was asked to stop and everything has ended.

        Raises `ModelError` when the model cannot be prepared or run, and what `is_redis_ready`
        raises.
        """
        try:
            self._start_redis()
            self._prepare_model()
            self._start_services()
            self._watch()
        finally:
            self._drain()

    def _start_redis(self) -> None:
        self._start(self._children.redis)
        self._until(self._is_redis_ready)

    def _prepare_model(self) -> None:
        if self._stop_requests:
            return
        preparation = self._children.model
        preparation.start()
        if self._until(lambda: not preparation.is_running):
            preparation.bury()
            if preparation.last_exit:
                raise ModelError(f"preparing the model {how_it_ended(preparation.last_exit)}")

    def _start_services(self) -> None:
        if not self._stop_requests:
            children = self._children
            self._start([children.workers, children.api, children.monitor, *children.scaler])

    def _watch(self) -> None:
        if self._until(self._has_come_up):
            self._announce()
        self._until(lambda: False)

    def _has_come_up(self) -> bool:
        """Whether prompts can be answered.

        Raises `ModelError` for a worker that would fail again in the same way. Once all have
        served, it is started again like any other: a GPU, say, may be full for a while.
        """
        for worker in self._children.workers.workers:
            if worker.exit_code == CANNOT_EVER:
                raise ModelError(
                    f"{worker.name} cannot run this model with these settings; it said why"
                )
        return self._is_serving()

    def _start(self, children: Sequence[Child | Crew]) -> None:
        for child in children:
            child.start()
            self._watched.append(child)

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Watches the children until the condition holds (True) or a stop is asked for (False)."""
        while not self._stop_requests:
            if condition():
                return True
            for child in self._watched:
                child.watch()
            self._beat()
            self._clock.sleep(TICK_S)
        return False

    def _drain(self) -> None:
        """The API first, so that nothing new comes; Redis last, so that every result is kept."""
        children = self._children
        self._drain_until = self._clock.now() + self._grace_s
        log.info("draining; another Ctrl-C gives running jobs back", patience_s=self._grace_s)
        self._end([*children.scaler, children.model, children.api], hurry=Child.kill)
        self._end(children.workers.workers, hurry=Child.hurry)
        self._end([children.monitor], hurry=Child.kill)
        self._end(children.redis, hurry=lambda server: None)
        log.info("everything has ended")

    def _end(self, children: Sequence[Child], hurry: Callable[[Child], None]) -> None:
        for child in children:
            child.terminate()
        self._wait_for_end(children, hurry)
        for child in children:
            if child.is_running:
                log.warning("did not end in time and is killed", child=child.name)
                child.kill()
            child.bury()

    def _wait_for_end(self, children: Sequence[Child], hurry: Callable[[Child], None]) -> None:
        kill_at = max(self._drain_until, self._clock.now()) + LAST_S
        next_hurry = self._clock.now() + HURRY_AFTER_S
        while running := [child for child in children if child.is_running]:
            now = self._clock.now()
            if now >= kill_at:
                return
            is_urgent = self._stop_requests > 1 or now >= self._drain_until
            if is_urgent and now >= next_hurry:
                # Again and again: two signals become one in a process that is busy in C.
                for child in running:
                    hurry(child)
                next_hurry = now + HURRY_EVERY_S
            self._clock.sleep(TICK_S)
