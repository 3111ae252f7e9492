"""Waits for the ends of jobs as the API does: woken by Redis, sure by asking the job itself."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from headrace.core import news
from headrace.core.jobs import keys
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue

ASK_S = 0.5
"""Silence after which the open jobs are asked: a message may be lost, a job must not be."""

PATIENCE_S = 120.0


class Endings:
    """Listens from its making on."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._messages = queue.redis.pubsub(ignore_subscribe_messages=True)
        self._messages.subscribe(keys.ENDED_CHANNEL)
        # The answer says that Redis listens for us: no job may end before it does.
        self._messages.get_message(timeout=ASK_S)

    def wait(self, open_ids: Collection[str]) -> Iterator[Job]:
        """The next jobs of `open_ids` that ended, at least one.

        Raises `TimeoutError` where none ends for two minutes.
        """
        until = time.monotonic() + PATIENCE_S
        found = False
        while not found:
            if time.monotonic() > until:
                raise TimeoutError(f"none of {len(open_ids)} jobs ends")
            for job_id in self._next(open_ids):
                job = self._queue.get(job_id)
                if job.state.is_terminal:
                    found = True
                    yield job

    def close(self) -> None:
        self._messages.close()

    def _next(self, open_ids: Collection[str]) -> list[str]:
        message = self._messages.get_message(timeout=ASK_S)
        if message is None:
            return list(open_ids)
        return [job_id for job_id in news.job_ids(message["data"]) if job_id in open_ids]
