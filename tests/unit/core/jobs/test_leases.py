"""Leases against a real server: who holds a job, and what happens to a dead worker's."""

from __future__ import annotations

from rq import Queue, SimpleWorker
from structlog.testing import capture_logs

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Publication
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one


def run_out(redis: Client, job_id: str = "job-1") -> None:
    """What time does to a lease that nobody renews."""
    redis.zadd(keys.LEASES, {job_id: 1.0})


def test_a_renewed_lease_ends_later(queue: JobQueue, leases: Leases, redis: Client) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    run_out(redis)

    assert leases.renew([claim]) == 1
    assert leases.sweep().redelivered == []


def test_a_lease_that_ran_out_brings_the_job_back_to_the_front(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    claim_one(queue)
    queue.submit(make_request("later"))
    run_out(redis)

    assert leases.sweep().redelivered == ["job-1"]
    assert [claim.job_id for claim in queue.claim("worker-2", ROOM).claims] == ["job-1", "later"]


def test_the_next_attempt_gets_the_tokens_that_were_published(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    first = claim_one(queue)
    queue.publish([Publication(first, 2, [7, 8], "ab", 0.0), Publication(first, 3, [9], "c", 0.0)])
    run_out(redis)
    leases.sweep()

    second = claim_one(queue, "worker-2")
    assert second.attempt == 2
    assert (second.published_ids, second.published_text) == ((7, 8, 9), "abc")


def test_a_worker_whose_lease_was_taken_cannot_renew_it(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    late = claim_one(queue)
    run_out(redis)
    leases.sweep()
    claim_one(queue, "worker-2")

    assert leases.renew([late]) == 0


def test_a_dead_workers_jobs_are_taken_back_at_once_and_no_others(
    queue: JobQueue, leases: Leases
) -> None:
    queue.submit(make_request("a"))
    claim_one(queue, "dead")
    queue.submit(make_request("b"))
    claim_one(queue, "alive")

    assert leases.take_back("dead").redelivered == ["a"]
    assert queue.state("b") is JobState.RUNNING


def test_rq_no_longer_lists_a_worker_whose_jobs_were_taken_back(
    leases: Leases, redis: Client
) -> None:
    for name in ("dead", "alive"):
        SimpleWorker([*keys.QUEUE_NAMES.values()], name=name, connection=redis).register_birth()

    leases.take_back("dead")

    assert [worker.name for worker in SimpleWorker.all(connection=redis)] == ["alive"]
    queue = Queue("headrace-default", connection=redis)
    assert [worker.name for worker in SimpleWorker.all(queue=queue)] == ["alive"]


def test_a_released_job_waits_again_and_its_attempt_does_not_count(
    queue: JobQueue, leases: Leases
) -> None:
    queue.submit(make_request())

    assert leases.release([claim_one(queue)]) == 1
    assert queue.state("job-1") is JobState.QUEUED
    assert claim_one(queue).attempt == 1


def test_the_lease_of_a_job_that_is_gone_is_forgotten(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    claim_one(queue)
    redis.delete("rq:job:job-1")
    run_out(redis)

    assert leases.sweep().redelivered == []
    assert redis.zcard(keys.LEASES) == 0


def test_scripts_survive_a_server_that_forgot_them(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    redis.script_flush()

    claim = claim_one(queue)
    redis.script_flush()
    assert leases.renew([claim]) == 1


def test_a_redelivery_is_logged_with_the_request_that_brought_the_job(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    for name in ("readable", "odd"):
        queue.submit(make_request(name, request_id=f"request-{name}"))
    queue.claim("worker-1", ROOM)
    redis.hset("rq:job:odd", "data", b"nothing that can be read")

    with capture_logs() as logs:
        leases.take_back("worker-1").log()

    told = {line["job_id"]: line["request_id"] for line in logs}
    assert told == {"readable": "request-readable", "odd": None}


def test_nothing_is_left_of_a_run_whose_worker_died_after_stock_rq_had_failed_the_job(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    claim_one(queue)
    redis.hset("rq:job:job-1", "status", "failed")  # as RQ's clean-up of abandoned jobs does
    run_out(redis)

    assert leases.sweep().redelivered == []
    assert list(redis.scan_iter("rq:execution:job-1:*")) == []
    assert redis.zcard("rq:executions:job-1") == 0
