"""The list of all jobs that are kept, the newest first, a page at a time."""

from __future__ import annotations

import math
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Self

from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState

CHUNK = 1_000
"""Jobs that are looked at in one round trip."""

MOST_CHUNKS = 10
"""Looked at for one page: jobs of a rare state, or of a tenant among many, may stand far behind."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a job stands in the list; without an id: behind all jobs of this time.

    New jobs come before every place that is known.
    """

    accepted: float
    job_id: str = ""

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


NEWEST = Place(math.inf)


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and the place `behind` which the next page begins; None: there is no other."""

    jobs: list[Job]
    behind: Place | None


def read_page(
    queue: JobQueue,
    limit: int,
    behind: Place = NEWEST,
    state: JobState | None = None,
    tenant: str | None = None,
) -> Page:
    """At most `limit` jobs behind a place, of one state and one tenant if asked.

    A page may be short, or empty, though there is another one: it looks at so many jobs only.
    Raises `redis.exceptions.RedisError` when the server is away.
    """
    found: list[tuple[Place, Job]] = []
    size = CHUNK if state or tenant else min(CHUNK, limit + 1)
    for _chunk in range(CHUNK * MOST_CHUNKS // size):
        wanted, end = _look(queue, behind, size, state, tenant)
        found += _read(queue, wanted, state, limit + 1 - len(found))
        if len(found) > limit:
            return Page([job for _place, job in found[:limit]], found[limit - 1][0])
        if end is None:
            break
        behind = end
    return Page([job for _place, job in found], end)


def _look(
    queue: JobQueue, behind: Place, size: int, state: JobState | None, tenant: str | None
) -> tuple[list[Place], Place | None]:
    """The wanted ones of the next jobs, and the place to which it looked; None: to the end."""
    listed, oldest = queue.listed(behind.accepted, size, tenant)
    places = [Place(at, job_id) for at, job_id, each in listed if state in (None, each)]
    end = None if oldest is None else Place(oldest)
    return [place for place in places if place < behind], end


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
