"""Clients of the queue in a process of their own: so many jobs are under way, never more."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from bench.endings import Endings
from bench.workload import roomy_settings
from headrace.core.connection import WORKER_TIMEOUT_S, connect
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Request

END_S = 10.0


@dataclass(frozen=True)
class Fed:
    """`seconds` from the first submit to the last result read."""

    output_tokens: int
    seconds: float


class Feeder:
    """Sends a list of requests at a time: each as soon as one before it has been answered."""

    def __init__(self, url: str, in_flight: int) -> None:
        context = get_context("spawn")  # a fork would copy a model and its threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, url, in_flight), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it has started

    def send(self, requests: Sequence[Request]) -> None:
        self._pipe.send(list(requests))

    @property
    def is_done(self) -> bool:
        """True as well where it died: `result` says so then."""
        return self._pipe.poll()

    def result(self) -> Fed:
        """Raises `EOFError` where the process died; its traceback stands on stderr."""
        fed: Fed = self._pipe.recv()
        return fed

    def close(self) -> None:
        self._pipe.close()
        self._process.join(END_S)
        self._process.kill()


def _serve(pipe: Connection, url: str, in_flight: int) -> None:
    queue = JobQueue(connect(url, WORKER_TIMEOUT_S), roomy_settings())
    pipe.send("started")
    while True:
        try:
            requests = pipe.recv()
        except EOFError:
            return
        pipe.send(feed(queue, requests, in_flight))


def feed(queue: JobQueue, requests: Sequence[Request], in_flight: int) -> Fed:
    """Raises `RuntimeError` where a job does not succeed."""
    waiting, open_ids, tokens = deque(requests), set[str](), 0
    endings = Endings(queue)
    started = time.perf_counter()
    while waiting or open_ids:
        while waiting and len(open_ids) < in_flight:
            request = waiting.popleft()
            open_ids.add(request.id)
            queue.submit(request)
        for job in endings.wait(open_ids):
            if job.result is None:
                raise RuntimeError(f"{job.id} {job.state}: {job.error}")
            open_ids.remove(job.id)
            tokens += job.result["usage"]["completion_tokens"]
    seconds = time.perf_counter() - started
    endings.close()
    return Fed(tokens, seconds)
