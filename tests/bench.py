"""A worker on a simulated engine that takes no time, and the queue it serves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from batcher.admission import ContinuousAdmission
from batcher.simulated import SimulatedEngine
from headrace.core import events
from headrace.core.card_store import CardStore
from headrace.core.clock import Clock
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats, JobState, Request
from tests.fakes import CARD, FakeClock
from worker.answer_check.checks import AnswerChecks
from worker.batch_worker import BatchWorker
from worker.engine_port import LocalEngine
from worker.schema_gate import SchemaGate


class Bench:
    """Runs turn by turn in a test's own thread, or by itself in another (`serving`)."""

    def __init__(
        self,
        redis: Client,
        settings: Settings,
        name: str = "worker-1",
        publish_interval_ms: int = 0,
        clock: Clock | None = None,
        card: ModelCard = CARD,
        gate: SchemaGate | None = None,
        checks: AnswerChecks | None = None,
        kind: type[SimulatedEngine] = SimulatedEngine,
    ) -> None:
        law = {f"simulated_{part}_s": 0.0 for part in ("alpha", "beta", "gamma")}
        settings = settings.model_copy(update=law | {"publish_interval_ms": publish_interval_ms})
        self.clock = clock or FakeClock()
        self.redis = redis
        self.queue = JobQueue(redis, settings)
        self.leases = Leases(redis, settings)
        self.counters = Counters(redis, settings)
        self.engine = kind(settings, card, self.clock)
        self.worker = BatchWorker(
            self.queue,
            self.leases,
            LocalEngine(self.engine),
            ContinuousAdmission(),
            self.clock,
            name,
            card.hash,
            gate=gate,
            checks=checks,
        )
        CardStore(redis).put(card)

    def submit(self, *requests: Request) -> None:
        for request in requests:
            self.queue.submit(request)

    def turn(self, times: int) -> None:
        for _turn in range(times):
            self.worker.turn()

    def pretend_pace(
        self, tokens_per_s: float, decode_s: float = 0.0, slots: int = 1, is_full: bool = True
    ) -> None:
        """As if a fleet had been measured, which reads prompts in no time."""
        sums = {"tokens": tokens_per_s * 10, "seconds": 10, "allowed": 10, "prompt": 10}
        sums |= {"decode_s": decode_s * 10, "prefill_s": 0, "at": 0}
        self.redis.hset(keys.PACE, mapping=sums | ({"full_since": 0} if is_full else {}))
        stats = EngineStats(slots=slots)
        beat = WorkerState("worker-1", "ready", os.getpid(), "SimulatedEngine", stats)
        Roster(self.redis, ttl_s=60).beat(beat)

    def state(self, job_id: str = "job-1") -> JobState:
        return self.queue.state(job_id)

    def text(self, job_id: str = "job-1") -> str:
        return "".join(event.text for event in events.tokens(self.redis, job_id))

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Turns in a thread until the block ends."""
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                self.worker.turn()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            self.redis.lpush(keys.DOORBELL, "1")
            thread.join()
