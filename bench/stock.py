"""Stock RQ as a contender: its queue and one of its workers, with the jobs' settings like ours."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

from bench.noop import noop
from bench.workload import CHUNK, roomy_settings
from headrace.core.connection import Client


class _Timed:
    """A worker that takes the time between its birth and its death.

    Its end waits for a thread, for nothing or for a second: no part of what a job costs.
    """

    def bootstrap(self, *arguments: Any) -> None:
        super().bootstrap(*arguments)  # type: ignore[misc]
        self.born = time.perf_counter()

    def teardown(self) -> None:
        self.lived_s = time.perf_counter() - self.born
        super().teardown()  # type: ignore[misc]


class TimedSimpleWorker(_Timed, SimpleWorker):
    """Runs jobs in its own process."""


class TimedWorker(_Timed, Worker):
    """Forks for every job."""


class StockQueue:
    """RQ's own enqueueing, with everything given that it would else have to find out."""

    name = "stock"

    def __init__(self, redis: Client) -> None:
        settings = roomy_settings()
        self._queue = Queue(self.name, connection=redis, serializer=JSONSerializer)
        self._timeout_s = settings.job_timeout_s
        self._options: dict[str, Any] = {
            "result_ttl": settings.result_ttl_s,
            "failure_ttl": settings.result_ttl_s,
            "description": "noop",
        }

    def submit_one(self) -> None:
        self._queue.enqueue(noop, job_timeout=self._timeout_s, **self._options)

    def submit_chunk(self, jobs: int) -> None:
        options = self._options | {"timeout": self._timeout_s}
        self._queue.enqueue_many([Queue.prepare_data(noop, **options) for _job in range(jobs)])


class Stock:
    """`worker_class` is one of the two above."""

    queue_name = StockQueue.name

    def __init__(self, redis: Client, worker_class: type[TimedSimpleWorker | TimedWorker]) -> None:
        self.redis = redis
        self._queue = StockQueue(redis)
        self._worker_class = worker_class
        self._jobs = 0

    def fill(self, jobs: int) -> None:
        self._jobs = jobs
        for start in range(0, jobs, CHUNK):
            self._queue.submit_chunk(min(CHUNK, jobs - start))

    def work(self) -> tuple[float, int]:
        worker = self._worker_class(
            [self.queue_name], connection=self.redis, serializer=JSONSerializer
        )
        with _own_signals():
            worker.work(burst=True, logging_level="ERROR")
        return worker.lived_s, self._jobs


@contextmanager
def _own_signals() -> Iterator[None]:
    """RQ's workers keep SIGINT and SIGTERM when they have ended."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
