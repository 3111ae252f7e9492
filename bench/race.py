"""The same requests through the queue and straight into the engine, in one process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from batcher.engine import Engine
from bench.cpu_clock import CpuClock
from bench.feeder import Feeder
from bench.server import empty
from bench.serving import Serving
from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Request


@dataclass(frozen=True)
class Run:
    """`cpu_s` is empty for a run without a queue."""

    output_tokens: int
    seconds: float
    steps: int
    rows: int
    cpu_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens / self.seconds


class Race:
    """One loaded engine, called directly or through the queue of a server."""

    def __init__(
        self, redis: Client, settings: Settings, card: ModelCard, engine: Engine, feeder: Feeder
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._card = card
        self._engine = engine
        self._feeder = feeder

    def directly(self, requests: Sequence[Request]) -> Run:
        engine, before = self._engine, self._engine.stats()
        waiting, tokens, started = iter(requests), 0, time.perf_counter()
        self._fill(waiting)
        while not engine.is_idle:
            tokens += sum(len(delta.token_ids) for delta in engine.step())
            self._fill(waiting)
        seconds, after = time.perf_counter() - started, engine.stats()
        return Run(tokens, seconds, after.steps - before.steps, after.rows - before.rows)

    def through_queue(self, requests: Sequence[Request]) -> Run:
        empty(self._redis)
        queue, before = JobQueue(self._redis, self._settings), self._engine.stats()
        with Serving(queue, self._engine, self._card) as serving:
            loop, heartbeat = _watch(queue, serving)
            self._feeder.send(requests)
            serving.turn_until(lambda: self._feeder.is_done)
        fed, after = self._feeder.result(), self._engine.stats()
        return Run(
            fed.output_tokens,
            fed.seconds,
            after.steps - before.steps,
            after.rows - before.rows,
            loop.seconds | heartbeat.seconds,
        )

    def close(self) -> None:
        self._feeder.close()
        self._engine.close()

    def _fill(self, waiting: Iterator[Request]) -> None:
        for _slot in range(self._engine.room().slots):
            request = next(waiting, None)
            if request is not None:
                self._engine.add(request)


def _watch(queue: JobQueue, serving: Serving) -> tuple[CpuClock, CpuClock]:
    """Clocks of the worker's loop and of its heartbeat, counting from here on."""
    loop, heartbeat = CpuClock(), CpuClock()
    for name in dir(queue):
        if not name.startswith("_") and callable(getattr(queue, name)):
            loop.wrap(queue, name, "publish" if name == "publish" else "queue")
    loop.wrap(serving.worker, "turn", "turn")
    loop.wrap(serving.worker.engine, "step", "step")
    heartbeat.wrap(serving.heartbeat, "beat", "heartbeat")
    return loop, heartbeat
