"""JobQueue against a real server: what it says of its jobs."""

from __future__ import annotations

import pytest
from rq import Queue
from rq.job import JobStatus

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import queue as job_queue
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


def fail(queue: JobQueue, job_id: str, reason: str = "engine_error") -> None:
    queue.submit(make_request(job_id))
    succeed(queue, claim_one(queue), result=None, reason=reason, error="broken")


@pytest.mark.parametrize("page", [1, 2, 200])
def test_failed_jobs_are_found_behind_expired_ones_which_share_their_registry(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(job_queue, "PAGE", page)
    for number in range(2):
        fail(queue, f"failed-{number}")
    for number in range(5):
        fail(queue, f"expired-{number}", reason="expired")

    failed = [job.id for job in queue.recent(3, JobState.FAILED)]
    expired = [job.id for job in queue.recent(2, JobState.EXPIRED)]
    assert failed == ["failed-1", "failed-0"]
    assert set(expired) < {f"expired-{number}" for number in range(5)}
    assert len(expired) == 2


def test_a_job_that_rq_stopped_is_listed_as_cancelled(queue: JobQueue, redis: Client) -> None:
    fail(queue, "stopped")
    rq_job(redis, "stopped").set_status(JobStatus.STOPPED)
    fail(queue, "failed")
    queue.submit(make_request("cancelled"))
    queue.cancel("cancelled")

    assert [job.id for job in queue.recent(9, JobState.CANCELLED)] == ["cancelled", "stopped"]
    assert [job.id for job in queue.recent(9, JobState.FAILED)] == ["failed"]


def test_a_job_that_is_gone_or_cannot_be_read_takes_no_place_in_a_list(
    queue: JobQueue, redis: Client
) -> None:
    for name in ("readable", "unreadable", "gone"):
        fail(queue, name)
    redis.hset("rq:job:unreadable", "data", b"nothing that RQ wrote")
    redis.delete("rq:job:gone")

    assert [job.id for job in queue.recent(1, JobState.FAILED)] == ["readable"]
    assert [job.id for job in queue.recent(1)] == ["readable"]


def test_waiting_jobs_are_listed_newest_first_over_any_number_of_pages(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "PAGE", 2)
    for number in range(5):
        queue.submit(make_request(str(number)))

    for state in (None, JobState.QUEUED):
        assert [job.id for job in queue.recent(4, state)] == ["4", "3", "2", "1"]
        assert [job.id for job in queue.recent(9, state)] == ["4", "3", "2", "1", "0"]


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
