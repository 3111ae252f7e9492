"""The timeline: everything that happened to a job, also to attempts that came to nothing."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Outcome
from headrace.core.jobs.job import Report
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.timeline import Moment, read_timeline
from headrace.core.types import Priority
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, publish, rq_job, succeed


def events(redis: Client, job_id: str = "job-1") -> list[str]:
    return [moment.event for moment in read_timeline(redis, job_id)]


def moment(redis: Client, event: str) -> Moment:
    """The newest of its kind."""
    return [each for each in read_timeline(redis, "job-1") if each.event == event][-1]


def test_a_job_that_succeeds_has_the_five_stamps_and_who_ran_it(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [7], 1)
    succeed(queue, claim, count=2, token_ids=[8], report=Report(batch_size=2.5, attempt=1))

    assert events(redis) == ["accepted", "claimed", "first_token", "last_token", "succeeded"]
    claimed, end = moment(redis, "claimed"), moment(redis, "succeeded")
    assert (claimed.worker, claimed.attempt, claimed.alone) == ("worker-1", 1, None)
    assert (end.worker, end.attempt, end.batch_size, end.reason) == ("worker-1", 1, 2.5, None)
    moments = read_timeline(redis, "job-1")
    stamps = queue.get("job-1").timings
    assert [each.at for each in moments] == [
        stamps.accepted,
        stamps.claimed,
        stamps.first_token,
        stamps.last_token,
        stamps.committed,
    ]


def test_an_attempt_whose_worker_died_is_told_with_its_batch(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    queue.submit(make_request("mate"))
    queue.claim("worker-1", ROOM)
    leases.take_back("worker-1")
    queue.claim("worker-2", ROOM)

    assert events(redis) == ["accepted", "claimed", "died", "redelivered", "claimed"]
    died = moment(redis, "died")
    assert (died.worker, died.batch_size) == ("worker-1", 2)
    claimed = moment(redis, "claimed")
    assert (claimed.worker, claimed.attempt) == ("worker-2", 2)


def test_a_job_that_died_alone_ends_with_its_last_death(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    for number in range(3):
        queue.claim(f"worker-{number}", ROOM)
        leases.take_back(f"worker-{number}")

    assert events(redis)[-3:] == ["claimed", "died", "failed"]
    assert moment(redis, "claimed").alone
    assert moment(redis, "failed").reason == "dead"


def test_a_try_that_failed_says_why_and_when_the_next_one_is_due(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    report = Report(batch_size=3.0)
    claim = claim_one(queue)
    queue.finish(
        "worker-1", [Outcome(claim, report, 0, reason="engine_error", error="x", retry_share=0.5)]
    )

    assert events(redis) == ["accepted", "claimed", "retried"]
    retried = moment(redis, "retried")
    assert (retried.worker, retried.reason, retried.batch_size) == ("worker-1", "engine_error", 3)
    assert retried.due_at == pytest.approx(retried.at + 0.5, abs=1e-5)


def test_what_a_worker_gave_back_is_told(queue: JobQueue, leases: Leases, redis: Client) -> None:
    queue.submit(make_request())
    leases.release([claim_one(queue)])
    claim_one(queue)
    leases.recall("worker-1", [])

    assert events(redis) == ["accepted", "claimed", "released", "claimed", "recalled"]
    assert moment(redis, "recalled").worker == "worker-1"


def test_a_change_of_priority_and_a_cancel_are_told(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    queue.reprioritise("job-1", Priority.BATCH)
    queue.cancel("job-1")

    assert events(redis) == ["accepted", "reprioritised", "cancelled"]
    assert moment(redis, "reprioritised").priority is Priority.BATCH
    assert moment(redis, "cancelled").reason == "cancelled"


def test_a_job_that_expires_was_accepted_and_nothing_else(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=60))
    redis.zadd(keys.EXPIRIES, {"job-1": 1.0})
    leases.sweep()

    assert events(redis) == ["accepted", "expired"]


def test_a_job_that_rq_requeued_begins_anew(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="engine_error", error="broken")
    rq_job(redis).requeue()
    claim_one(queue, "worker-2")

    assert events(redis) == ["accepted", "claimed"]
    assert moment(redis, "claimed").worker == "worker-2"


def test_a_job_that_an_older_version_claimed_has_that_claim(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    claim_one(queue)
    redis.hdel("rq:job:job-1", "hr_timeline")

    assert events(redis) == ["accepted", "claimed"]
    assert moment(redis, "claimed").worker == "worker-1"


def test_a_job_that_moves_for_ever_keeps_its_newest_moments(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    for _time in range(60):
        leases.release([claim_one(queue)])

    assert redis.hstrlen("rq:job:job-1", "hr_timeline") < 5000
    told = events(redis)
    assert told[0] == "accepted"
    assert told[-2:] == ["claimed", "released"]


@pytest.mark.parametrize("field", ["status", "hr_timeline"])
def test_what_cannot_be_read_is_not_found(queue: JobQueue, redis: Client, field: str) -> None:
    queue.submit(make_request())
    redis.hset("rq:job:job-1", field, "nonsense")

    for job_id in ("job-1", "nobody"):
        with pytest.raises(JobNotFound):
            read_timeline(redis, job_id)
