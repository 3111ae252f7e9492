"""The list of all jobs that are kept, the newest first, a page at a time."""

from __future__ import annotations

import math
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState

CHUNK = 200
"""Ids that are looked at in one round trip."""

MOST_CHUNKS = 50
"""Looked at for one page: jobs of a rare state may stand behind any number of others."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in the list. New jobs come before every place that is known."""

    accepted: float
    job_id: str

    def encode(self) -> str:
        text = f"{self.accepted!r} {self.job_id}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises `ValueError`."""
        padded = text + "=" * (-len(text) % 4)
        accepted, _, job_id = b64decode(padded, b"-_", validate=True).decode().partition(" ")
        if not math.isfinite(float(accepted)):
            raise ValueError("no time")
        return cls(float(accepted), job_id)


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and the place `behind` which the next page begins; None: there is no other."""

    jobs: list[Job]
    behind: Place | None


def read_page(
    queue: JobQueue,
    limit: int,
    behind: Place | None = None,
    state: JobState | None = None,
    tenant: str | None = None,
) -> Page:
    """At most `limit` jobs behind a place, of one state and one tenant if asked.

    A page of all tenants may be short, or empty, though there is another one: it looks at so many
    jobs and no more. That of one tenant looks at all: where it stops would be a place of others.
    Raises `redis.exceptions.RedisError` when the server is away.
    """
    found: list[tuple[Place, Job]] = []
    looked_at = None
    size = CHUNK if state or tenant else min(CHUNK, limit + 1)
    most_chunks = None if tenant else CHUNK * MOST_CHUNKS // size
    for places in islice(_chunks(queue.redis, behind, size), most_chunks):
        wanted = _matching(queue, places, state, tenant)
        found += _read(queue, wanted, state, limit + 1 - len(found))
        if len(found) > limit:
            return Page([job for _place, job in found[:limit]], found[limit - 1][0])
        looked_at = places[-1]
    has_more = looked_at is not None and bool(_behind(queue.redis, looked_at, 1))
    return Page([job for _place, job in found], looked_at if has_more else None)


def _matching(
    queue: JobQueue, places: list[Place], state: JobState | None, tenant: str | None
) -> list[Place]:
    """Those of the state and the tenant; reads nothing where all are wanted."""
    if state is None and tenant is None:
        return places
    states = queue.states([place.job_id for place in places], tenant)
    pairs = zip(places, states, strict=True)
    return [place for place, each in pairs if each is not None and state in (None, each)]


def _read(
    queue: JobQueue, places: list[Place], state: JobState | None, most: int
) -> list[tuple[Place, Job]]:
    """The first `most` that can be read; `state` again: a job may have moved on meanwhile."""
    found: list[tuple[Place, Job]] = []
    while places and len(found) < most:
        left = most - len(found)
        some, places = places[:left], places[left:]
        jobs = queue.get_many([place.job_id for place in some])
        pairs = zip(some, jobs, strict=True)
        found += [(place, job) for place, job in pairs if job and state in (None, job.state)]
    return found


def _chunks(redis: Client, behind: Place | None, size: int) -> Iterator[list[Place]]:
    while places := _behind(redis, behind, size):
        yield places
        behind = places[-1]


def _behind(redis: Client, place: Place | None, size: int) -> list[Place]:
    """The next places: by time, and by id those of one script, which have the same time."""
    if place is None:
        return _places(redis.zrevrange(keys.JOBS, 0, size - 1, withscores=True))
    moment = repr(place.accepted)
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.zrevrangebyscore(keys.JOBS, moment, moment, withscores=True)
        pipeline.zrevrangebyscore(keys.JOBS, f"({moment}", "-inf", 0, size, withscores=True)
        same_moment, earlier = pipeline.execute()
    same = [each for each in _places(same_moment) if each.job_id < place.job_id]
    return (same + _places(earlier))[:size]


def _places(entries: Sequence[Any]) -> list[Place]:
    return [Place(float(accepted), job_id.decode()) for job_id, accepted in entries]
