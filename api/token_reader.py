"""One reader of a job's token stream: each entry once and in order, whatever it is told."""

from __future__ import annotations

from redis.exceptions import RedisError

from headrace.core import events
from headrace.core.errors import JobNotFound
from headrace.core.events import TokenEvent
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState


class TokenReader:
    """Stands behind a place of the stream.

    An entry that it is told is taken as it is where it continues the place. Otherwise the stream in
    Redis is read, which is the truth.
    """

    def __init__(self, queue: JobQueue, job_id: str, after: str) -> None:
        self._queue = queue
        self._job_id = job_id
        self._move(after)

    def take(self, told: TokenEvent | None) -> list[TokenEvent]:
        """The entries behind the place; moves behind them. None tells that there may be some."""
        if told is not None and self._has(told):
            return []
        news = [told] if told is not None and self._continues(told) else self._look()
        if news:
            self._move(news[-1].place)
        return news

    def _move(self, place: str) -> None:
        self._place = place
        self._count = events.count(place)

    def _has(self, told: TokenEvent) -> bool:
        return told.state is None and told.count <= self._count

    def _continues(self, told: TokenEvent) -> bool:
        return told.count - len(told.token_ids) == self._count

    def _look(self) -> list[TokenEvent]:
        """Reads the entries behind the place; where there are none, an end that is missing."""
        try:
            return self._read() or self._ended_elsewhere()
        except RedisError:
            return []

    def _read(self) -> list[TokenEvent]:
        return events.tokens(self._queue.redis, self._job_id, self._place)

    def _ended_elsewhere(self) -> list[TokenEvent]:
        """The end of a job that left no end in its stream: stock RQ cancelled or deleted it."""
        try:
            state = self._queue.state(self._job_id)
            if not state.is_terminal:
                return []
        except JobNotFound:
            state = JobState.CANCELLED
        # It may have ended between the two looks.
        return self._read() or [TokenEvent(self._place, (), "", state, state.value)]
