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


def test_recent_jobs_come_newest_first_whatever_their_state(queue: JobQueue) -> None:
    queue.submit(make_request("done"))
    succeed(queue, claim_one(queue))
    queue.submit(make_request("running"))
    claim_one(queue)
    queue.submit(make_request("waiting"))

    assert [job.id for job in queue.recent(10)] == ["waiting", "running", "done"]
    assert [job.id for job in queue.recent(1)] == ["waiting"]
    assert [job.id for job in queue.recent(10, JobState.RUNNING)] == ["running"]


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


def test_jobs_of_one_state_are_found_behind_any_number_of_others(queue: JobQueue) -> None:
    queue.submit(make_request("old"))
    succeed(queue, claim_one(queue))
    for number in range(5):
        queue.submit(make_request(f"new-{number}"))

    assert [job.id for job in queue.recent(2, JobState.SUCCEEDED)] == ["old"]


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
