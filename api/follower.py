"""Follows a job from its queue to its end, for a caller that waits or streams."""

from __future__ import annotations

import time
from collections.abc import Iterator

from redis.exceptions import RedisError

from api.waiters import Waiters
from headrace.core import events
from headrace.core.errors import DeadlineExceeded, JobFailed, JobNotFound, WaitEnded
from headrace.core.events import TokenEvent
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState

KEEP_ALIVE_S = 5.0
"""Longest silence of a stream."""


class Follower:
    def __init__(self, queue: JobQueue, waiters: Waiters) -> None:
        self._queue = queue
        self._waiters = waiters

    def wait(self, job_id: str, timeout_s: float) -> Job:
        """The job as it stands when it has ended or the time is over. Raises `JobNotFound`."""
        until = time.monotonic() + timeout_s
        with self._waiters.watch(job_id) as news:
            while not self._has_ended(job_id):
                if not news.wait(until - time.monotonic()):
                    break
                news.clear()
        return self._queue.get(job_id)

    def result(self, job_id: str, timeout_s: float) -> Job:
        """The succeeded job. Raises `WaitEnded`, `JobFailed`, `DeadlineExceeded`."""
        try:
            job = self.wait(job_id, timeout_s)
        except RedisError as error:
            raise WaitEnded(job_id) from error
        if not job.state.is_terminal:
            raise WaitEnded(job_id)
        if job.state is not JobState.SUCCEEDED:
            raise failure(job_id, job.state, job.error or "no reason known")
        return job

    def tokens(self, job_id: str, after: str = events.START) -> Iterator[TokenEvent | None]:
        """A job's token events as they come, the last with its end; None while nothing comes.

        The caller may use None to keep its connection alive, and to give up.
        """
        with self._waiters.watch(job_id, tokens=True) as news:
            while True:
                for event in self._news(job_id, after):
                    yield event
                    after = event.place
                    if event.state is not None:
                        return
                while not news.wait(KEEP_ALIVE_S):
                    yield None
                news.clear()

    def _has_ended(self, job_id: str) -> bool:
        """False while Redis is away: the caller has a job, and asking again would make another."""
        try:
            return self._queue.state(job_id).is_terminal
        except RedisError:
            return False

    def _news(self, job_id: str, after: str) -> list[TokenEvent]:
        """What stands in the stream behind a place; where nothing does, an end that is missing."""
        try:
            return events.tokens(self._queue.redis, job_id, after) or self._ended_elsewhere(
                job_id, after
            )
        except RedisError:
            return []

    def _ended_elsewhere(self, job_id: str, after: str) -> list[TokenEvent]:
        """The end of a job that left no end in its stream: stock RQ cancelled or deleted it."""
        try:
            state = self._queue.state(job_id)
            if not state.is_terminal:
                return []
        except JobNotFound:
            state = JobState.CANCELLED
        # It may have ended between the two looks.
        last_words = events.tokens(self._queue.redis, job_id, after)
        return last_words or [TokenEvent(after, (), "", state, state.value)]


def failure(job_id: str, state: JobState, reason: str) -> JobFailed:
    """What a caller is told of a job that ended in any state but succeeded."""
    if state is JobState.EXPIRED:
        return DeadlineExceeded(job_id)
    return JobFailed(job_id, state, reason)
