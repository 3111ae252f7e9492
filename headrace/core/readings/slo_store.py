"""The minutes of the SLO in Redis: a restarted monitor knows what was before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.readings.slo_course import KEPT_S, Sample, SloCourse

DAYS = 31


class SloStore:
    """Raises `redis.exceptions.RedisError` when the server is away."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    def note(self, sample: Sample) -> None:
        moment = datetime.fromtimestamp(sample.at, UTC)
        key = keys.slo(f"{moment:%Y-%m-%d}")
        row = [sample.at, sample.total, sample.good, sample.failed, sample.canary_s]
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, f"{moment:%H:%M}", json.dumps(row))
            pipeline.expire(key, int(KEPT_S) + 86_400)
            pipeline.execute()

    def course(self, now: float) -> SloCourse:
        """All that is known of the last 30 days."""
        today = datetime.fromtimestamp(now, UTC)
        with self._redis.pipeline(transaction=False) as pipeline:
            for back in range(DAYS):
                pipeline.hvals(keys.slo(f"{today - timedelta(days=back):%Y-%m-%d}"))
            days = pipeline.execute()
        samples = sorted((Sample(*json.loads(row)) for day in days for row in day), key=_at)
        course = SloCourse()
        for sample in samples:
            course.add(sample)
        return course


def _at(sample: Sample) -> float:
    return sample.at
