"""The one way in which requests of this API become jobs."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Request


class Admission:
    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def submit(self, requests: Sequence[Request]) -> list[Submitted]:
        """What each became. Raises `QueueFull`."""
        return [self._queue.submit(request) for request in requests]
