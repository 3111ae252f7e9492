"""Errors that may pass are tried again; what does not pass becomes a dead letter."""

from __future__ import annotations

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.handover import Claim, Finished, Outcome
from headrace.core.jobs.job import Report
from headrace.core.jobs.job_list import read_page
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import claim_one, publish


def fail(queue: JobQueue, claim: Claim, share: float | None = 0.5) -> Finished:
    outcome = Outcome(
        claim, Report(), 0, reason="engine_error", error="busy", is_dead=True, retry_share=share
    )
    (finished,) = queue.finish("worker-1", [outcome])
    return finished


def make_due(redis: Client, job_id: str = "job-1") -> None:
    redis.zadd("rq:scheduled:headrace-default", {job_id: 1.0}, xx=True)


def test_a_failed_try_waits_its_share_of_the_interval(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    seconds, microseconds = redis.time()

    assert fail(queue, claim_one(queue), share=0.75).verdict == "retried"
    due = redis.zscore("rq:scheduled:headrace-default", "job-1")
    assert 0.75 <= due - (seconds + microseconds / 1e6) < 1.5
    assert queue.state("job-1") is JobState.QUEUED


def test_each_retry_waits_twice_as_long(settings: Settings) -> None:
    many = settings.model_copy(update={"max_retries": 8})

    assert rq_adapter.retry_intervals(many) == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_retry_that_is_due_waits_for_a_worker_again(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    fail(queue, claim_one(queue))
    leases.sweep()
    assert queue.waiting() == 0

    make_due(redis)
    leases.sweep()
    assert claim_one(queue).attempt == 2


def test_a_retry_goes_on_behind_what_was_streamed(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [7, 8], 2, "ab")
    fail(queue, claim)
    make_due(redis)
    leases.sweep()

    second = claim_one(queue)
    assert (second.published_ids, second.published_text) == ((7, 8), "ab")


def test_an_error_that_no_retry_heals_is_a_dead_letter(
    queue: JobQueue, leases: Leases, redis: Client, settings: Settings
) -> None:
    queue.submit(make_request())
    for _try in range(settings.max_retries):
        assert fail(queue, claim_one(queue)).verdict == "retried"
        make_due(redis)
        leases.sweep()

    assert fail(queue, claim_one(queue)).verdict == "written"
    job = queue.get("job-1")
    assert (job.state, job.error, job.attempts) == (JobState.FAILED, "busy", 4)
    assert redis.zscore(keys.DEAD, "job-1") is not None


def test_an_error_of_the_request_itself_is_not_tried_again(queue: JobQueue) -> None:
    queue.submit(make_request())

    assert fail(queue, claim_one(queue), share=None).verdict == "written"
    assert queue.state("job-1") is JobState.FAILED


def test_a_job_that_waits_for_its_retry_can_be_cancelled(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    fail(queue, claim_one(queue))

    assert queue.cancel("job-1")
    make_due(redis)
    leases.sweep()
    assert queue.state("job-1") is JobState.CANCELLED
    assert queue.waiting() == 0


def test_a_job_that_waits_for_its_retry_is_listed(queue: JobQueue) -> None:
    queue.submit(make_request())
    fail(queue, claim_one(queue))

    assert [job.id for job in read_page(queue, 10, state=JobState.QUEUED).jobs] == ["job-1"]


def test_a_retry_whose_deadline_passes_expires(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=60))
    fail(queue, claim_one(queue))
    redis.zadd(keys.EXPIRIES, {"job-1": 1.0})

    assert leases.sweep().expired == ["job-1"]
    assert redis.zcard("rq:scheduled:headrace-default") == 0


def test_settings_without_retries_leave_none_to_rq(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"max_retries": 0}))
    queue.submit(make_request())

    assert redis.hget("rq:job:job-1", "retries_left") is None
    assert fail(queue, claim_one(queue)).verdict == "written"
