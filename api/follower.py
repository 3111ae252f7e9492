"""Follows a job from its queue to its end, for a caller that waits or streams."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from redis.exceptions import RedisError

from api.inbox import News
from api.token_reader import TokenReader
from api.waiters import Waiters
from headrace.core import events
from headrace.core.errors import (
    CallerLeft,
    DeadlineExceeded,
    JobFailed,
    SchemaViolation,
    WaitEnded,
)
from headrace.core.events import TokenEvent
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rq_adapter import DISCONNECTED
from headrace.core.types import SCHEMA_VIOLATION, JobState

KEEP_ALIVE_S = 5.0
"""Longest silence of a stream."""

ANSWER_BREAKS_SCHEMA = "its answer does not fit its json_schema"

Batch = list[tuple[int, TokenEvent]]
"""Entries of token streams, each with the place of its job among those that are followed."""


class Follower:
    def __init__(self, queue: JobQueue, waiters: Waiters) -> None:
        self._queue = queue
        self._waiters = waiters

    def wait(self, job_id: str, timeout_s: float) -> Job:
        """The job as it stands when it has ended or the time is over. Raises `JobNotFound`."""
        until = time.monotonic() + timeout_s
        with self._waiters.watch([job_id]) as inbox:
            while not self._has_ended(job_id):
                if not inbox.wait(until - time.monotonic()):
                    break
                inbox.take()
        return self._queue.get(job_id)

    def result(self, job_id: str, timeout_s: float) -> Job:
        """The succeeded job. Raises `WaitEnded`, or a `JobFailed`."""
        try:
            job = self.wait(job_id, timeout_s)
        except RedisError as error:
            raise WaitEnded(job_id) from error
        if not job.state.is_terminal:
            raise WaitEnded(job_id)
        if job.state is not JobState.SUCCEEDED:
            raise failure(job_id, job.state, job.reason or "", job.error or "no reason known")
        return job

    def tokens(self, job_ids: Sequence[str], after: str = events.START) -> Iterator[Batch]:
        """Yields new entries of any of the jobs, in batches as they arrive, until all have ended.

        A batch is empty while nothing comes, and after `Waiters.wake`: the caller may use it to
        keep its connection alive, and to give up.
        """
        readers = {job_id: TokenReader(self._queue, job_id, after) for job_id in job_ids}
        places = {job_id: place for place, job_id in enumerate(job_ids)}
        with self._waiters.watch(job_ids, tokens=True) as inbox:
            news: list[News] = [(job_id, None) for job_id in job_ids]
            if batch := [(places[job_id], event) for job_id, event in _behind(readers, news)]:
                yield batch
            while readers:
                inbox.wait(KEEP_ALIVE_S)
                yield [(places[job_id], event) for job_id, event in _behind(readers, inbox.take())]

    def _has_ended(self, job_id: str) -> bool:
        """False while Redis is away: the caller has a job, and asking again would make another."""
        try:
            return self._queue.state(job_id).is_terminal
        except RedisError:
            return False


def _behind(
    readers: dict[str, TokenReader], news: Iterable[News]
) -> Iterator[tuple[str, TokenEvent]]:
    """The entries that news bring to their readers; a reader that has the end is done."""
    for job_id, told in news:
        if job_id not in readers:
            continue
        for event in readers[job_id].take(told):
            yield job_id, event
            if event.state is not None:
                del readers[job_id]


def failure(job_id: str, state: JobState, reason: str, error: str = "") -> JobFailed:
    """Returns the error that tells a caller of a job that did not succeed.

    An `error` in words is better than the `reason`, where it is known.
    """
    if state is JobState.EXPIRED:
        return DeadlineExceeded(job_id, error or reason)
    if reason == DISCONNECTED:
        return CallerLeft(job_id, state, "its caller hung up")
    if reason == SCHEMA_VIOLATION:
        return SchemaViolation(job_id, error or ANSWER_BREAKS_SCHEMA)
    return JobFailed(job_id, state, error or reason)
