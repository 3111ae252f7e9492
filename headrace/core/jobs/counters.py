"""The fleet's counts in Redis: nothing is lost with a process, nothing is counted twice.

The scripts that end jobs count them; workers add what they counted of their engine's steps.
Fields are `redelivered`, `preempted`, `retried`, `dead`, `late:publish`, `late:finish`, `slo`,
`slo_good`, `tokens:input`, `tokens:output`, `jobs:STATUS:REASON`; `accepted` jobs, and the tokens
that jobs count for (`Request.charged_tokens`) as they come and end, `tokens:accepted` and
`tokens:ended`; of the scaler `scaler:up`, `scaler:down`, `scaler:hold`, `scaler:unknown`; of steps
`steps:…` (`worker/step_counts.py`) and those of histograms (`headrace/core/histogram.py`);
`log_lines_lost:SERVICE` (`log_loss.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings

WORKER_TTL_S = 86_400
"""How long a silent worker's share is remembered; much longer than a worker can be silent."""


class Counters:
    """Raises `redis.exceptions.RedisError` when the server is away; all calls may be repeated."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._count = rq_adapter.load_script(redis, "count", settings)

    def add(self, worker: str, totals: Mapping[str, int], client: Client = None) -> None:
        """`totals` are a worker's counts since its start: only what is new is added.

        `client` may be a pipeline.
        """
        self._count(
            keys=[keys.COUNTS, keys.counted(worker)],
            args=[WORKER_TTL_S, *(value for item in totals.items() for value in item)],
            client=client,
        )

    def read(self) -> dict[str, int]:
        """Every count so far by its field; a field that was never counted is absent."""
        counts = self._redis.hgetall(keys.COUNTS)
        return {field.decode(): int(count) for field, count in counts.items()}
