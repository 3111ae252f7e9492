"""JobQueue against a real server: what each script promises."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError
from rq import Queue
from rq.job import Job as RqJob
from rq.job import JobStatus
from rq.registry import (
    CanceledJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.errors import JobNotFound, QueueFull
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Claim, Outcome, Publication
from headrace.core.jobs.job import Report
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Room
from tests.fakes import make_request

ROOM = Room(slots=8, tokens=10_000)
RESULT = {"text": "done", "finish_reason": "stop", "usage": {}}


@pytest.fixture
def queue(redis: Client, settings: Settings) -> JobQueue:
    return JobQueue(redis, settings)


def claim_one(queue: JobQueue, worker: str = "worker-1") -> Claim:
    (claim,) = queue.claim(worker, ROOM).claims
    return claim


def publish(queue: JobQueue, claim: Claim, ids: list[int], count: int, text: str = "x") -> bool:
    (published,) = queue.publish([Publication(claim, count, ids, text, age_s=0.0)])
    return published


def succeed(queue: JobQueue, claim: Claim, **changes: Any) -> bool:
    outcome = Outcome(claim, Report(), **{"count": 1, "result": RESULT, "reason": "stop"} | changes)
    (finished,) = queue.finish("worker-1", [outcome])
    return finished.timings is not None


def rq_job(redis: Client, job_id: str = "job-1") -> RqJob:
    return RqJob.fetch(job_id, connection=redis, serializer=JSONSerializer)


# -- submit ----------------------------------------------------------------------------------------


def test_a_submitted_job_is_an_ordinary_rq_job_that_waits(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())

    job = rq_job(redis)
    assert job.get_status() is JobStatus.QUEUED
    assert job.origin == "headrace-default"
    assert (job.result_ttl, job.failure_ttl, job.timeout) == (86_400, 86_400, 600)
    assert Queue("headrace-default", connection=redis).job_ids == ["job-1"]
    assert {q.name for q in Queue.all(connection=redis)} == {"headrace-default"}


def test_no_prompt_stands_in_a_description(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request(prompt="swordfish"))

    assert rq_job(redis).description == "headrace.generate 9 prompt tokens"


def test_the_same_job_submitted_twice_is_queued_once(queue: JobQueue) -> None:
    first, second = queue.submit(make_request()), queue.submit(make_request())

    assert first.accepted == second.accepted
    assert queue.waiting() == 1


def test_a_full_queue_refuses(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 2}))
    queue.submit(make_request("a"))
    queue.submit(make_request("b", priority=Priority.BATCH))

    with pytest.raises(QueueFull, match="2 jobs wait"):
        queue.submit(make_request("c"))
    with pytest.raises(JobNotFound):
        queue.get("c")


# -- claim -----------------------------------------------------------------------------------------


def test_a_claim_takes_what_fits_into_slots_and_tokens(queue: JobQueue) -> None:
    for name in "abcd":
        queue.submit(make_request(name))

    assert [c.job_id for c in queue.claim("w", Room(slots=2, tokens=1000)).claims] == ["a", "b"]
    assert [c.job_id for c in queue.claim("w", Room(slots=2, tokens=10)).claims] == ["c"]
    assert queue.waiting() == 1


def test_a_claim_takes_interactive_jobs_first_and_batch_jobs_last(queue: JobQueue) -> None:
    for priority in (Priority.BATCH, Priority.DEFAULT, Priority.INTERACTIVE):
        queue.submit(make_request(priority, priority=priority))

    claimed = [claim.job_id for claim in queue.claim("w", ROOM).claims]

    assert claimed == ["interactive", "default", "batch"]


def test_a_claimed_job_is_leased_and_runs_as_rq_sees_it(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)

    assert redis.zscore(keys.LEASES, "job-1") is not None
    assert rq_job(redis).get_status() is JobStatus.STARTED
    assert rq_job(redis).worker_name == "worker-1"
    registry = StartedJobRegistry("headrace-default", connection=redis)
    assert registry.get_job_ids() == ["job-1"]
    (execution,) = rq_job(redis).get_executions()
    assert execution.id == claim.execution_id
    assert claim.request == make_request()
    assert claim.attempt == 1


def test_two_workers_never_claim_one_job(queue: JobQueue) -> None:
    queue.submit(make_request())

    assert len(queue.claim("worker-1", ROOM).claims) == 1
    assert queue.claim("worker-2", ROOM).claims == []


def test_a_job_past_its_deadline_is_ended_as_expired_and_not_run(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=1e-6))

    claimed = queue.claim("w", ROOM)

    assert (claimed.claims, claimed.expired) == ([], ["job-1"])
    assert queue.get("job-1").state is JobState.EXPIRED
    assert FailedJobRegistry("headrace-default", connection=redis).get_job_ids() == ["job-1"]


def test_a_queued_id_without_a_job_is_reported(queue: JobQueue, redis: Client) -> None:
    redis.rpush("rq:queue:headrace-default", "ghost")

    assert queue.claim("w", ROOM).odd == [("ghost", "")]
    assert queue.waiting() == 0


def test_a_job_of_another_function_is_handed_over_with_a_refusal(
    queue: JobQueue, redis: Client
) -> None:
    Queue("headrace-default", connection=redis, serializer=JSONSerializer).enqueue("os.getpid")

    claim = claim_one(queue)

    assert claim.request is None
    assert "os.getpid" in claim.refusal


def test_a_claim_wakes_another_worker_only_for_what_it_left(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request("a"))
    queue.submit(make_request("b"))

    queue.claim("w", Room(slots=1, tokens=1000))
    assert redis.llen(keys.DOORBELL) > 0
    queue.claim("w", Room(slots=1, tokens=1000))
    assert redis.llen(keys.DOORBELL) == 0


# -- publish ---------------------------------------------------------------------------------------


def test_published_tokens_can_be_read_in_order_and_from_any_place(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    assert publish(queue, claim, [1, 2], 2, "ab")
    assert publish(queue, claim, [3], 3, "c")

    first, second = events.tokens(redis, "job-1")
    assert (first.token_ids, first.text, second.text) == ((1, 2), "ab", "c")
    assert events.tokens(redis, "job-1", after=first.place) == [second]


def test_a_publication_repeated_after_a_lost_answer_is_kept_once(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)

    assert publish(queue, claim, [1], 1)
    assert publish(queue, claim, [1], 1)
    assert len(events.tokens(redis, "job-1")) == 1


def test_tokens_that_redis_has_no_memory_for_are_not_taken_for_published(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError):
            publish(queue, claim, [1], 1)
    finally:
        redis.config_set("maxmemory", "0")
    assert publish(queue, claim, [1], 1)


def test_a_worker_that_lost_its_lease_cannot_publish_or_finish(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    late = claim_one(queue)
    redis.hset("rq:job:job-1", "hr_lease", "another-attempt")

    assert not publish(queue, late, [9], 1)
    assert not succeed(queue, late)
    assert events.tokens(redis, "job-1") == []


# -- finish ----------------------------------------------------------------------------------------


def test_a_finished_job_has_its_result_where_rq_looks(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    assert succeed(queue, claim_one(queue))

    job = rq_job(redis)
    assert job.get_status() is JobStatus.FINISHED
    assert job.return_value() == RESULT
    assert job.ended_at is not None
    assert FinishedJobRegistry("headrace-default", connection=redis).get_job_ids() == ["job-1"]
    assert StartedJobRegistry("headrace-default", connection=redis).get_job_ids() == []
    assert job.get_executions() == []
    assert redis.zcard(keys.LEASES) == 0


def test_nothing_of_an_ended_job_stays_for_ever(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1)
    succeed(queue, claim, count=1)

    immortal = [key for key in redis.scan_iter("*job-1*") if redis.ttl(key) == -1]
    assert immortal == []


def test_a_failed_job_keeps_its_error_where_rq_looks(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), result=None, reason="engine_error", error="NaN in the logits")

    job = queue.get("job-1")
    assert (job.state, job.error) == (JobState.FAILED, "NaN in the logits")
    result = rq_job(redis).latest_result()
    assert result is not None
    assert result.exc_string == "NaN in the logits"
    assert FailedJobRegistry("headrace-default", connection=redis).get_job_ids() == ["job-1"]


def test_a_result_handed_in_twice_is_written_once(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)

    assert succeed(queue, claim)
    assert succeed(queue, claim)
    assert redis.xlen("rq:results:job-1") == 1
    assert redis.xlen(keys.COMPLETIONS) == 1


def test_the_last_tokens_and_the_end_come_with_the_result(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1, "a")
    succeed(queue, claim, count=2, token_ids=(2,), text="b")

    _first, last = events.tokens(redis, "job-1")
    assert (last.token_ids, last.text) == ((2,), "b")
    assert (last.state, last.reason) == (JobState.SUCCEEDED, "stop")


def test_the_stages_of_a_job_partition_its_time(queue: JobQueue) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1)
    succeed(queue, claim, count=2, token_ids=(2,))

    timings = queue.get("job-1").timings
    assert timings.accepted is not None
    assert timings.committed is not None
    assert list(timings.stages) == ["queue_wait", "prefill", "decode", "commit"]
    assert all(seconds >= 0 for seconds in timings.stages.values())
    total = timings.committed - timings.accepted
    assert sum(timings.stages.values()) == pytest.approx(total, abs=1e-6)


def test_every_ended_job_leaves_one_completion_record(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request("ran"))
    succeed(queue, claim_one(queue))
    queue.submit(make_request("expired", deadline_s=1e-6))
    queue.claim("w", ROOM)
    queue.submit(make_request("cancelled"))
    queue.cancel("cancelled")

    records = {record.job_id: record.state for record in events.completions(redis, 10)}
    assert records == {
        "ran": JobState.SUCCEEDED,
        "expired": JobState.EXPIRED,
        "cancelled": JobState.CANCELLED,
    }


# -- cancel ----------------------------------------------------------------------------------------


def test_a_waiting_job_that_is_cancelled_never_runs(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())

    assert queue.cancel("job-1")
    assert queue.claim("w", ROOM).claims == []
    assert queue.get("job-1").state is JobState.CANCELLED
    assert CanceledJobRegistry("headrace-default", connection=redis).get_job_ids() == ["job-1"]


def test_a_running_job_that_is_cancelled_is_lost_to_its_worker(queue: JobQueue) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)

    assert queue.cancel("job-1")
    assert not publish(queue, claim, [1], 1)
    assert not succeed(queue, claim)
    assert queue.get("job-1").state is JobState.CANCELLED


def test_an_ended_job_cannot_be_cancelled(queue: JobQueue) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue))

    assert not queue.cancel("job-1")
    assert queue.get("job-1").state is JobState.SUCCEEDED


def test_cancelling_an_unknown_job_says_so(queue: JobQueue) -> None:
    with pytest.raises(JobNotFound, match="nobody"):
        queue.cancel("nobody")


# -- reading ---------------------------------------------------------------------------------------


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
