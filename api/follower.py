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

LOOK_AGAIN_S = 5.0
"""Longest trust in wake-ups alone: jobs that stock RQ ends send none."""


class Follower:
    def __init__(self, queue: JobQueue, waiters: Waiters) -> None:
        self._queue = queue
        self._waiters = waiters

    def wait(self, job_id: str, timeout_s: float) -> Job:
        """The job as it stands when it has ended or the time is over. Raises `JobNotFound`."""
        until = time.monotonic() + timeout_s
        with self._waiters.watch(job_id) as news:
            while not self._has_ended(job_id):
                left_s = until - time.monotonic()
                if left_s <= 0:
                    break
                news.wait(min(left_s, LOOK_AGAIN_S))
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
                for event in self._new_tokens(job_id, after):
                    yield event
                    after = event.place
                    if event.state is not None:
                        return
                if not news.wait(LOOK_AGAIN_S):
                    end = self._ended_elsewhere(job_id, after)
                    yield end
                    if end is not None:
                        return
                news.clear()

    def _has_ended(self, job_id: str) -> bool:
        """False while Redis is away: the caller has a job, and asking again would make another."""
        try:
            return self._queue.state(job_id).is_terminal
        except RedisError:
            return False

    def _new_tokens(self, job_id: str, after: str) -> list[TokenEvent]:
        try:
            return events.tokens(self._queue.redis, job_id, after)
        except RedisError:
            return []

    def _ended_elsewhere(self, job_id: str, after: str) -> TokenEvent | None:
        """The end of a job that left no end in its stream: stock RQ cancelled or deleted it."""
        try:
            state = self._queue.state(job_id)
            if not state.is_terminal or events.tokens(self._queue.redis, job_id, after):
                return None
        except RedisError:
            return None
        except JobNotFound:
            state = JobState.CANCELLED
        return TokenEvent(after, (), "", state, state.value)


def failure(job_id: str, state: JobState, reason: str) -> JobFailed:
    """What a caller is told of a job that ended in any state but succeeded."""
    if state is JobState.EXPIRED:
        return DeadlineExceeded(job_id)
    return JobFailed(job_id, state, reason)
