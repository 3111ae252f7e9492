"""JobQueue against a real server: how jobs are submitted, claimed and published."""

from __future__ import annotations

import pytest
from redis.exceptions import OutOfMemoryError
from rq import Queue
from rq.job import JobStatus
from rq.registry import (
    FailedJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.errors import IdempotencyConflict, JobNotFound, QueueFull
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.handover import Idempotency
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, publish, rq_job, succeed

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


def test_a_queue_full_of_tokens_refuses(redis: Client, settings: Settings) -> None:
    cost = make_request().cost_tokens
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_tokens": 2 * cost}))
    queue.submit(make_request("a"))
    queue.submit(make_request("b"))

    with pytest.raises(QueueFull, match=f"{2 * cost} tokens"):
        queue.submit(make_request("c"))
    assert len(queue.claim("w", Room(slots=1, tokens=1000)).claims) == 1
    assert queue.submit(make_request("c")).is_new


def test_many_jobs_are_accepted_in_one_go_as_far_as_there_is_room(
    redis: Client, settings: Settings
) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 2}))

    first, second, third = queue.submit_many([make_request(name) for name in "abc"])

    assert (getattr(first, "job_id", ""), getattr(second, "job_id", "")) == ("a", "b")
    assert isinstance(third, QueueFull)
    assert queue.waiting() == 2


KEY = Idempotency("key-1", "fingerprint")


def test_one_idempotency_key_is_one_job(queue: JobQueue) -> None:
    first = queue.submit(make_request("a"), KEY)
    second = queue.submit(make_request("b"), KEY)

    assert (first.job_id, first.is_new) == ("a", True)
    assert (second.job_id, second.is_new, second.accepted) == ("a", False, first.accepted)
    assert queue.waiting() == 1


def test_one_idempotency_key_for_two_requests_is_a_conflict(queue: JobQueue) -> None:
    queue.submit(make_request("a"), KEY)

    with pytest.raises(IdempotencyConflict, match="job a"):
        queue.submit(make_request("b"), Idempotency("key-1", "another"))
    assert queue.waiting() == 1


def test_an_idempotency_key_is_forgotten_with_its_result(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request("a"), KEY)

    assert 86_000 < redis.ttl(keys.idempotency("default", "key-1")) <= 86_400


def test_a_full_queue_refuses(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 2}))
    queue.submit(make_request("a"))
    queue.submit(make_request("b", priority=Priority.BATCH))

    with pytest.raises(QueueFull, match="2 jobs with 18 tokens wait"):
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
    queue: JobQueue, redis: Client, settings: Settings
) -> None:
    queue.submit(make_request())
    late = claim_one(queue)
    redis.hset("rq:job:job-1", "hr_lease", "another-attempt")

    assert not publish(queue, late, [9], 1)
    assert not succeed(queue, late)
    assert events.tokens(redis, "job-1") == []
    counts = Counters(redis, settings).read()
    assert (counts["late:publish"], counts["late:finish"]) == (1, 1)


def test_what_was_cancelled_is_not_late(queue: JobQueue, redis: Client, settings: Settings) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    queue.cancel("job-1")

    assert not publish(queue, claim, [9], 1)
    assert "late:publish" not in Counters(redis, settings).read()
