"""Jobs whose time is over end as expired, whether or not a worker lives."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, succeed


def test_a_deadline_passes_without_any_worker(queue: JobQueue, leases: Leases) -> None:
    queue.submit(make_request(deadline_s=1e-6))

    assert leases.sweep().expired == ["job-1"]
    job = queue.get("job-1")
    assert (job.state, job.error) == (
        JobState.EXPIRED,
        "its time was over before a worker was free",
    )
    assert queue.waiting() == 0


def test_nobody_waits_longer_than_the_queues_time_to_live(
    redis: Client, settings: Settings
) -> None:
    brief = settings.model_copy(update={"queue_ttl_s": 0})
    queue = JobQueue(redis, brief)
    queue.submit(make_request())

    assert Leases(redis, brief).sweep().expired == ["job-1"]


def test_the_queues_time_to_live_is_over_with_the_first_claim(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    leases.release([claim_one(queue)])

    assert redis.zcard(keys.EXPIRIES) == 0
    assert claim_one(queue).job_id == "job-1"


def test_a_deadline_also_holds_for_a_job_that_waits_again(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=60))
    leases.release([claim_one(queue)])
    redis.zadd(keys.EXPIRIES, {"job-1": 1.0})

    assert leases.sweep().expired == ["job-1"]


def test_a_running_job_is_left_to_its_worker(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=60))
    claim = claim_one(queue)
    redis.zadd(keys.EXPIRIES, {"job-1": 1.0})

    assert leases.sweep().expired == []
    assert succeed(queue, claim)


def test_a_worker_learns_how_long_is_left(queue: JobQueue) -> None:
    queue.submit(make_request(deadline_s=60))

    assert claim_one(queue).remaining_s == pytest.approx(60, abs=5)


def test_an_expired_job_is_never_claimed(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request(deadline_s=60))
    redis.hset("rq:job:job-1", "hr_expires", 1.0)

    claimed = queue.claim("worker-1", ROOM)
    assert (claimed.claims, claimed.expired) == ([], ["job-1"])
