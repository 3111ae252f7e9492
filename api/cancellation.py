"""Ends a job that nobody wants any more."""

from __future__ import annotations

import structlog
from redis.exceptions import RedisError

from headrace.core.errors import JobNotFound
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rq_adapter import CANCELLED
from headrace.core.types import JobState

log = structlog.get_logger()


def cancel(queue: JobQueue, job_id: str, reason: str = CANCELLED) -> bool:
    """Ends a job that waits or runs, and logs it with the reason; False where it had ended.

    Raises `JobNotFound`.
    """
    is_cancelled = queue.cancel(job_id, reason)
    if is_cancelled:
        _log_cancelled(queue, job_id, reason)
    return is_cancelled


def _log_cancelled(queue: JobQueue, job_id: str, reason: str) -> None:
    """As a worker logs an end: under the id of the request that brought the job, not of this."""
    try:
        request_id = queue.get(job_id).request.request_id
    except (JobNotFound, RedisError):  # it cannot be read, or Redis went away: cancelled it is
        request_id = None
    log.info(
        "request finished",
        job_id=job_id,
        request_id=request_id,
        state=JobState.CANCELLED,
        reason=reason,
    )
