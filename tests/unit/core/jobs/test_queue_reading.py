"""JobQueue against a real server: what it says of its jobs."""

from __future__ import annotations

import pytest
from rq import Queue
from rq.job import JobStatus

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState, Priority
from tests.fakes import make_request
from tests.unit.core.jobs.steps import claim_one, rq_job, succeed


def test_a_waiting_job_knows_its_place_behind_all_that_goes_first(queue: JobQueue) -> None:
    queue.submit(make_request("a"))
    queue.submit(make_request("b"))
    queue.submit(make_request("first", priority=Priority.INTERACTIVE))

    assert [queue.get(name).position for name in ("first", "a", "b")] == [0, 1, 2]


def test_many_jobs_are_read_at_once_and_what_is_none_is_said(queue: JobQueue) -> None:
    queue.submit(make_request("runs"))
    claim_one(queue)
    queue.submit(make_request("waits"))

    jobs = queue.get_many(["waits", "nobody", "runs"])
    assert [job and (job.id, job.position) for job in jobs] == [("waits", 0), None, ("runs", None)]
    assert queue.get_many([]) == []
    states = queue.states(["waits", "nobody", "runs"])
    assert states == [JobState.QUEUED, None, JobState.RUNNING]


def test_a_waiting_job_says_when_its_wait_is_over(queue: JobQueue) -> None:
    queue.submit(make_request(deadline_s=60))
    waiting = queue.get("job-1")
    assert waiting.timings.accepted is not None
    assert waiting.deadline == pytest.approx(waiting.timings.accepted + 60, abs=1e-5)
    assert waiting.expires == waiting.deadline

    claim_one(queue)
    assert queue.get("job-1").expires is None


def test_a_job_that_did_not_succeed_has_its_reason(queue: JobQueue) -> None:
    queue.submit(make_request("done"))
    succeed(queue, claim_one(queue))
    queue.submit(make_request("cancelled"))
    queue.cancel("cancelled")

    assert (queue.get("done").reason, queue.get("cancelled").reason) == (None, "cancelled")


def test_a_job_that_rq_requeues_starts_a_new_life(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="engine_error", error="broken")

    rq_job(redis).requeue()
    claim = claim_one(queue)

    assert (claim.attempt, claim.published_ids) == (1, ())
    assert succeed(queue, claim)
    assert queue.get("job-1").state is JobState.SUCCEEDED


def test_a_requeued_job_shows_nothing_of_its_last_life_and_can_be_cancelled(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="engine_error", error="broken")
    rq_job(redis).requeue()

    job = queue.get("job-1")
    assert (job.state, job.error, job.timings.committed) == (JobState.QUEUED, None, None)
    assert queue.cancel("job-1")
    assert queue.get("job-1").state is JobState.CANCELLED
    assert queue.waiting() == 0


def test_an_rq_job_of_somebody_else_is_not_found_and_not_touched(
    queue: JobQueue, redis: Client
) -> None:
    job = Queue("other", connection=redis).enqueue("os.getpid")

    with pytest.raises(JobNotFound):
        queue.get(job.id)
    with pytest.raises(JobNotFound):
        queue.cancel(job.id)
    assert Queue("other", connection=redis).job_ids == [job.id]
    assert job.get_status() is JobStatus.QUEUED
