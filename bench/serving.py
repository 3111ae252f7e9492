"""A BatchWorker with its heartbeat, in the benchmark's own process, turn by turn."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from batcher.admission import ContinuousAdmission
from batcher.engine import Engine
from headrace.core.card_store import CardStore
from headrace.core.clock import SystemClock
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.roster import Roster
from worker.batch_worker import BatchWorker
from worker.engine_port import LocalEngine
from worker.heartbeat import Heartbeat

LIMIT_S = 600.0


class Serving:
    """Registered with RQ and beating inside its `with` block, as `python -m worker` would be."""

    def __init__(self, queue: JobQueue, engine: Engine, card: ModelCard) -> None:
        redis, settings = queue.redis, queue.settings
        clock, leases, cards = SystemClock(), Leases(redis, settings), CardStore(redis)
        name = f"bench-{secrets.token_hex(4)}"
        self.worker = BatchWorker(
            queue, leases, LocalEngine(engine), ContinuousAdmission(), clock, name, card.hash
        )
        self.heartbeat = Heartbeat(
            self.worker,
            leases,
            Counters(redis, settings),
            Roster(redis, settings.lease_s),
            cards,
            card,
            clock,
        )

    def turn_until(self, is_over: Callable[[], bool]) -> float:
        """Seconds that it took. Raises `TimeoutError` where it takes more than ten minutes."""
        started = time.perf_counter()
        while not is_over():
            self.worker.turn()
            if time.perf_counter() - started > LIMIT_S:
                raise TimeoutError("the worker does not get on with its jobs")
        return time.perf_counter() - started

    def __enter__(self) -> Self:
        self.worker.start()
        self.heartbeat.beat()
        self.heartbeat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heartbeat.stop()
        self.worker.teardown()
