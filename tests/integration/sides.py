"""The same life of a job on two sides: run by stock RQ's SimpleWorker, and by our BatchWorker."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rq import Queue, SimpleWorker
from rq.command import send_stop_job_command
from rq.job import Job
from rq.registry import ScheduledJobRegistry, clean_registries
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from rq.utils import now
from rq.worker.base import WorkerStatus

import headrace
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.settings import Settings
from headrace.core.types import Delta
from tests.bench import Bench
from tests.fakes import make_request
from tests.integration.redis_picture import Difference, Picture, compare, take_picture
from tests.waiting import eventually

QUEUE = "headrace-default"
ERROR = "the accelerator is out of memory"
RESULT = {
    "text": "hell",
    "finish_reason": "length",
    "usage": {"prompt_tokens": 5, "completion_tokens": 4, "cached_tokens": 0},
}
"""What the simulated engine answers to `make_request()`."""


class Side(ABC):
    """One empty server with one worker on it. Jobs are enqueued by stock RQ on both sides."""

    def __init__(self, redis: Client) -> None:
        self.redis = redis
        self.queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)

    def enqueue(self, job_id: str = "job-1", **options: Any) -> Job:
        return self.queue.enqueue_call(
            "headrace.generate", (make_request(job_id).encode(),), job_id=job_id, **options
        )

    def job(self, job_id: str = "job-1") -> Job:
        return Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)

    def let_its_time_come(self, job_id: str = "job-1") -> None:
        """The scheduled job is due, and whoever has to promote it does."""
        due = {job_id: int(time.time()) - 1}
        self.redis.zadd(ScheduledJobRegistry(queue=self.queue).key, due, xx=True)
        self.promote()

    @abstractmethod
    def begin(self) -> None:
        """The worker takes the next job and is in the middle of it."""

    @abstractmethod
    def succeed(self) -> None:
        """The worker takes the next job, which succeeds."""

    @abstractmethod
    def fail(self) -> None:
        """The worker takes the next job, and this attempt fails with an error that may pass."""

    @abstractmethod
    def fail_for_good(self) -> None:
        """The worker takes the next job, which fails as it would every time."""

    @abstractmethod
    def run_for(self, seconds: float) -> None:
        """The worker takes the next job, which does not end by itself before that."""

    @abstractmethod
    def stop(self) -> None:
        """The job that runs is stopped by command."""

    @abstractmethod
    def cancel(self, job_id: str = "job-1") -> None: ...

    @abstractmethod
    def promote(self) -> None:
        """Scheduled jobs that are due are queued."""

    @abstractmethod
    def maintain(self) -> None:
        """Registries forget what has had its time."""

    @abstractmethod
    def close(self) -> None: ...


class Stock(Side):
    """SimpleWorker, taken through the steps of its own `work()`."""

    def __init__(self, redis: Client, settings: Settings, patch: pytest.MonkeyPatch) -> None:
        super().__init__(redis)
        self._patch = patch
        self.worker = SimpleWorker(
            list(keys.QUEUE_NAMES.values()),
            name="worker-1",
            connection=redis,
            serializer=JSONSerializer,
            default_result_ttl=settings.result_ttl_s,
        )
        self.worker.last_cleaned_at = now()  # no maintenance: it is not what is compared
        self.worker.register_birth()
        self.worker.set_state(WorkerStatus.IDLE)

    def begin(self) -> None:
        job, _queue = self._take()
        self.worker.prepare_execution(job)
        self.worker.prepare_job_execution(job)

    def succeed(self) -> None:
        self._work(lambda _request: RESULT)

    def fail(self) -> None:
        self._work(_raise)

    fail_for_good = fail

    def run_for(self, seconds: float) -> None:
        self._work(_time_out)  # what RQ's alarm raises

    def stop(self) -> None:
        # As its work horse's supervisor does, and as `_finalize_failure` would in its place.
        (execution,) = self.worker.executions.values()
        job = self.job(execution.job_id)
        self.worker._stopped_job_id = job.id
        self.worker.handle_execution_ended(job, self.queue, job.failure_callback_timeout)
        self.worker.handle_job_failure(job, self.queue, exc_string=ERROR, execution=execution)
        self.worker.set_state(WorkerStatus.IDLE)
        self.worker.heartbeat()

    def cancel(self, job_id: str = "job-1") -> None:
        self.job(job_id).cancel()

    def promote(self) -> None:
        scheduler = RQScheduler([self.queue], self.redis, serializer=JSONSerializer)
        scheduler.acquire_locks()
        scheduler.enqueue_scheduled_jobs()
        scheduler.release_locks()

    def maintain(self) -> None:
        clean_registries(self.queue)

    def close(self) -> None:
        self.worker.teardown()

    def _take(self) -> tuple[Job, Queue]:
        taken = self.worker.dequeue_job_and_maintain_ttl(timeout=None)
        assert taken is not None, "no job waits"
        return taken

    def _work(self, generate: Callable[[Any], Any]) -> None:
        self._patch.setattr(headrace, "generate", generate, raising=False)
        self.worker.execute_job(*self._take())
        self.worker.heartbeat()


class Ours(Side):
    """BatchWorker on the simulated engine."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        super().__init__(redis)
        one_at_a_time = settings.model_copy(update={"max_slots": 1})
        self.bench = Bench(redis, one_at_a_time)
        self.bench.worker.register_birth()
        self.bench.worker.set_state(WorkerStatus.IDLE)

    def begin(self) -> None:
        self.bench.turn(1)
        assert self.bench.worker.running, "no job runs"

    def succeed(self) -> None:
        self.begin()
        while self.bench.worker.running:
            self.bench.turn(1)

    def fail(self) -> None:
        self._fail(may_pass=True)

    def fail_for_good(self) -> None:
        self._fail()

    def run_for(self, seconds: float) -> None:
        self.begin()
        self.bench.clock.sleep(seconds)
        self.bench.turn(1)

    def stop(self) -> None:
        self.bench.worker.subscribe()
        (job_id,) = self.bench.worker.running
        eventually(lambda: self.redis.pubsub_numsub(self.bench.worker.pubsub_channel_name)[0][1])
        send_stop_job_command(self.redis, job_id, serializer=JSONSerializer)
        eventually(lambda: self.bench.turn(1) or not self.bench.worker.running)

    def cancel(self, job_id: str = "job-1") -> None:
        self.bench.queue.cancel(job_id)

    def promote(self) -> None:
        self.bench.leases.sweep()

    maintain = promote

    def close(self) -> None:
        self.bench.worker.teardown()

    def _fail(self, **kind: Any) -> None:
        engine = self.bench.engine
        step = engine.step

        def fail_once() -> list[Delta]:
            engine.step = step  # type: ignore[method-assign]
            return [_abort(engine, delta, kind) for delta in step()]

        engine.step = fail_once  # type: ignore[method-assign]
        self.bench.turn(1)
        assert not self.bench.worker.running, "the job runs on"


class Sides:
    """Iterates over both sides, then says in what they differ."""

    def __init__(self, redis: Client, settings: Settings, patch: pytest.MonkeyPatch) -> None:
        self._redis = redis
        self._makers: list[Callable[[], Side]] = [
            lambda: Stock(redis, settings, patch),
            lambda: Ours(redis, settings),
        ]
        self._pictures: list[Picture] = []

    def __iter__(self) -> Iterator[Side]:
        for make in self._makers:
            self._redis.flushall()
            side = make()
            try:
                yield side
                self._pictures.append(take_picture(self._redis))
            finally:
                side.close()

    @property
    def differences(self) -> list[Difference]:
        stock, ours = self._pictures
        return compare(stock, ours)


def _raise(_request: Any) -> None:
    raise RuntimeError(ERROR)


def _time_out(_request: Any) -> None:
    raise JobTimeoutException("too long")


def _abort(engine: Any, delta: Delta, kind: dict[str, Any]) -> Delta:
    engine.abort(delta.request_id)
    return Delta(delta.request_id, error=ERROR, **kind)
