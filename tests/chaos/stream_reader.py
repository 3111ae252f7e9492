"""Somebody who reads the streams of running jobs, and remembers what they said."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection

from redis.exceptions import RedisError

from headrace.core import events
from headrace.core.connection import Client

LOOK_EVERY_S = 0.1
JOBS_A_LOOK = 8


class StreamReader(threading.Thread):
    """`seen` holds the newest text of each job; `contradicted` those that took a word back."""

    def __init__(self, redis: Client, jobs: Callable[[], Collection[str]]) -> None:
        super().__init__(name="stream-reader", daemon=True)
        self.seen: dict[str, str] = {}
        self.contradicted: set[str] = set()
        self._redis = redis
        self._jobs = jobs
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            jobs = sorted(self._jobs())
            for job_id in random.sample(jobs, min(len(jobs), JOBS_A_LOOK)):
                self._read(job_id)

    def stop(self) -> None:
        self._stopped.set()
        self.join(10)

    def compare(self, job_id: str, text: str) -> None:
        """`text` must go on where it was read last."""
        if text.startswith(self.seen.get(job_id, "")):
            self.seen[job_id] = text
        else:
            self.contradicted.add(job_id)

    def _read(self, job_id: str) -> None:
        try:
            stream = events.tokens(self._redis, job_id)
        except RedisError:
            return  # away by intention; the next look comes soon
        self.compare(job_id, "".join(event.text for event in stream))
