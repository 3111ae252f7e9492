"""JobQueue against a real server: how jobs end, once."""

from __future__ import annotations

import pytest
from rq.job import JobStatus
from rq.registry import (
    CanceledJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    StartedJobRegistry,
)

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import RESULT, ROOM, claim_one, publish, rq_job, succeed

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
