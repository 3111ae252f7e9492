"""JobQueue.purge against a real server: nothing of a prompt or a result stays behind."""

from __future__ import annotations

import pytest
from rq import Queue

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Idempotency
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import (
    ROOM,
    bury,
    claim_one,
    everything,
    publish,
    rq_job,
    succeed,
)


def secrets_of(redis: Client, job_id: str = "job-1") -> list[bytes]:
    """Prompt, result, error and text of a job, as they stand in Redis."""
    prompt = redis.hget(f"rq:job:{job_id}", "data")
    results = redis.xrange(f"rq:results:{job_id}")
    outcomes = [
        fields[name]
        for _place, fields in results
        for name in (b"return_value", b"exc_string")
        if name in fields
    ]
    return [prompt, *outcomes, *(e.text.encode() for e in events.tokens(redis, job_id) if e.text)]


def holding(redis: Client, secrets: list[bytes]) -> list[bytes]:
    """The keys in which one of the secrets stands."""
    kept = everything(redis)
    return sorted(key for key in kept if any(secret in kept[key] for secret in secrets))


def test_a_purged_job_leaves_its_prompt_and_its_result_nowhere(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request(prompt="swordfish"))
    claim = claim_one(queue)
    publish(queue, claim, [1], 1, "kippers")
    succeed(queue, claim, count=2, token_ids=(2,), text="sardines")
    secrets = secrets_of(redis)
    assert holding(redis, secrets) == [
        b"headrace:stream:job-1",
        b"rq:job:job-1",
        b"rq:results:job-1",
    ]

    assert queue.purge("job-1")

    assert holding(redis, secrets) == []


def test_of_a_purged_job_only_its_record_in_the_completion_log_is_left(
    queue: JobQueue, redis: Client
) -> None:
    bury(queue, make_request())

    queue.purge("job-1")

    kept = everything(redis)
    assert [key for key in kept if b"job-1" in key + kept[key]] == [keys.COMPLETIONS.encode()]
    assert b"hello" not in kept[keys.COMPLETIONS.encode()]


def test_what_rq_keeps_of_a_job_beside_it_goes_too(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    other = Queue("other", connection=redis).enqueue("os.getpid", depends_on=rq_job(redis))
    succeed(queue, claim_one(queue))
    redis.sadd(rq_job(redis).dependencies_key, "job-0")

    queue.purge("job-1")

    assert [key for key in redis.scan_iter("*job-1*")] == []
    assert redis.exists(f"rq:job:{other.id}")


def test_a_job_whose_dependents_rq_has_not_been_told_of_leaves_their_ids(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    Queue("other", connection=redis).enqueue("os.getpid", depends_on=rq_job(redis))
    succeed(queue, claim_one(queue))
    redis.hset(keys.PARENTS, "job-1", "finished")
    redis.sadd("rq:job:job-1:dependents", "job-2")

    queue.purge("job-1")

    assert redis.smembers("rq:job:job-1:dependents") == {b"job-2"}


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_job_that_waits_or_runs_is_not_purged(queue: JobQueue, state: JobState) -> None:
    queue.submit(make_request())
    claims = queue.claim("w", ROOM).claims if state is JobState.RUNNING else []

    assert not queue.purge("job-1")

    assert queue.state("job-1") is state
    assert all(succeed(queue, claim) for claim in claims)


def test_a_job_purged_after_its_cancel_is_not_brought_back_by_its_worker(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    late = claim_one(queue)
    queue.cancel("job-1")
    queue.purge("job-1")

    assert not publish(queue, late, [1], 1)
    assert not succeed(queue, late)
    assert leases.renew([late]) == leases.release([late]) == 0
    assert [key for key in redis.scan_iter("*job-1*")] == []


def test_a_running_job_that_rq_cancelled_leaves_no_lease_behind(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    claim_one(queue)
    rq_job(redis).cancel()

    assert queue.purge("job-1")

    assert redis.zcard(keys.LEASES) == 0
    assert [key for key in redis.scan_iter("*job-1*")] == []


def test_purging_an_unknown_job_says_so(queue: JobQueue) -> None:
    with pytest.raises(JobNotFound, match="nobody"):
        queue.purge("nobody")


def test_what_is_left_of_a_job_that_rq_deleted_is_purged(queue: JobQueue, redis: Client) -> None:
    bury(queue, make_request())
    rq_job(redis).delete()

    with pytest.raises(JobNotFound):
        queue.purge("job-1")

    assert redis.exists(keys.stream("job-1"), keys.DEAD) == 0


def test_an_rq_job_of_somebody_else_is_not_purged(queue: JobQueue, redis: Client) -> None:
    job = Queue("other", connection=redis).enqueue("os.getpid")
    job.cancel()

    with pytest.raises(JobNotFound):
        queue.purge(job.id)
    assert redis.exists(job.key)


def test_many_jobs_are_purged_at_once_each_with_its_own_verdict(queue: JobQueue) -> None:
    bury(queue, make_request("ended"))
    queue.submit(make_request("waits"))

    assert queue.purge_many(["ended", "waits", "nobody"]) == [True, False, None]
    assert queue.purge_many([]) == []


def test_a_purged_job_leaves_no_idempotency_key(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request(), Idempotency("key-1", "fingerprint"))
    queue.cancel("job-1")
    queue.purge("job-1")

    assert queue.submit(make_request("job-2"), Idempotency("key-1", "fingerprint")).is_new
