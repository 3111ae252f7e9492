"""A worker that was told to drain gets no more jobs, until that is taken back."""

from __future__ import annotations

from rq.suspension import resume, suspend

from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.roster import Roster
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one


def test_a_draining_worker_gets_nothing_and_its_peers_do(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    Roster(redis, ttl_s=10).drain("worker-1")

    claimed = queue.claim("worker-1", ROOM)
    assert (claimed.claims, claimed.is_draining) == ([], True)
    assert claim_one(queue, "worker-2").job_id == "job-1"


def test_draining_can_be_taken_back(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    roster = Roster(redis, ttl_s=10)
    roster.drain("worker-1")
    roster.resume("worker-1")

    claimed = queue.claim("worker-1", ROOM)
    assert (len(claimed.claims), claimed.is_draining) == (1, False)


def test_a_worker_that_leaves_takes_its_flag_along(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    roster = Roster(redis, ttl_s=10)
    roster.drain("worker-1")
    roster.leave("worker-1")

    assert claim_one(queue, "worker-1").job_id == "job-1"


def test_rq_suspend_drains_everybody(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    suspend(redis)
    assert queue.claim("worker-1", ROOM).is_draining

    resume(redis)
    assert claim_one(queue).job_id == "job-1"
