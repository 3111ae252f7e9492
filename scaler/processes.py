"""The workers of one `headrace up`: its supervisor follows what stands in Redis."""

from __future__ import annotations

from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.roster import number_of


class ProcessFleet:
    """Workers are numbered from 1, and the highest number goes first. See `Fleet`."""

    def __init__(self, redis: Client, leadership: Leadership) -> None:
        self._redis = redis
        self._leadership = leadership

    def number_of(self, worker: str) -> int | None:
        return number_of(worker)

    def workers(self) -> list[str]:
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.smembers(keys.WORKERS)
            pipeline.hkeys(keys.STARTING)
            beating, starting = pipeline.execute()
        names = {name.decode() for name in (*beating, *starting)}
        return sorted(filter(self.number_of, names), key=self._number)

    def set_size(self, size: int, record: Record | None = None) -> bool:
        surplus = [name for name in self.workers() if self._number(name) > size]
        return self._leadership.order(size, surplus, record)

    def hold(self, record: Record | None = None) -> bool:
        return self._leadership.order(None, (), record)

    def _number(self, name: str) -> int:
        return self.number_of(name) or 0
