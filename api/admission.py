"""The one way in which requests of this API become jobs."""

from __future__ import annotations

from collections.abc import Sequence

from api.caller import caller
from api.rate_limits import RateLimits
from headrace.core.api_key import Limits
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.handover import Quota, Submitted
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Request


class Admission:
    def __init__(self, queue: JobQueue, dead_letters: DeadLetters, rate_limits: RateLimits) -> None:
        self._queue = queue
        self._dead_letters = dead_letters
        self._rate_limits = rate_limits

    def submit(self, requests: Sequence[Request]) -> list[Submitted]:
        """What each became. Raises `QueueFull`, `LimitExceeded`."""
        quota = _quota(caller().limits)
        with self._rate_limits.charged(caller(), requests):
            return [self._queue.submit(request, quota=quota) for request in requests]

    def replay(self, job_id: str, force: bool) -> Submitted:
        """A dead letter as a new job. Raises as `submit` and `DeadLetters.replay` do."""
        request = self._dead_letters.get(job_id).request
        with self._rate_limits.charged(caller(), [request] if request else []):
            return self._dead_letters.replay(job_id, force, _quota(caller().limits))


def _quota(limits: Limits) -> Quota:
    return Quota(limits.running_jobs, limits.queue_share)
