"""News of the jobs that one caller waits for, since it looked last."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from headrace.core.events import TokenEvent

MOST_KEPT = 256
"""Entries that are kept for a caller which does not look; beyond them it reads its streams."""

News = tuple[str, TokenEvent | None]
"""A job and the new entry of its stream; None where the caller has to look at the job itself."""


class Inbox:
    """Filled by the listener, emptied by one caller."""

    def __init__(self, job_ids: Sequence[str]) -> None:
        self._job_ids = job_ids
        self._news: deque[News] = deque()
        self._arrival = threading.Event()

    def put(self, news: News) -> None:
        if len(self._news) >= MOST_KEPT:
            self._news.clear()
            self._news.extend((job_id, None) for job_id in self._job_ids)
        else:
            self._news.append(news)
        self._arrival.set()

    def wait(self, timeout_s: float) -> bool:
        """Waits until something is in it; False when the time is over."""
        return self._arrival.wait(timeout_s)

    def take(self) -> list[News]:
        """All that is in it, in the order in which it came; it is empty behind this."""
        self._arrival.clear()
        taken = []
        while self._news:
            taken.append(self._news.popleft())
        return taken
