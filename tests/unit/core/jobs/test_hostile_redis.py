"""What others may do to the queue in the same Redis, and what a script may meet: no job is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState, Priority, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, publish, rq_job, succeed

QUEUE = "headrace-default"
COST = make_request().cost_tokens
FAILED: dict[str, Any] = {"result": None, "reason": "dead", "error": "x", "is_dead": True}


@pytest.fixture
def stock(redis: Client) -> Queue:
    return Queue(QUEUE, connection=redis, serializer=JSONSerializer)


def requeue(redis: Client, job_id: str = "job-1") -> None:
    FailedJobRegistry(QUEUE, connection=redis, serializer=JSONSerializer).requeue(job_id)


def waiting_tokens(redis: Client) -> int:
    return int(redis.hget(keys.share(QUEUE), "tokens") or 0)


# -- more than a script can do at once -------------------------------------------------------------


def test_thousands_of_ids_that_stock_rq_took_out_stop_no_claim(
    queue: JobQueue, stock: Queue
) -> None:
    for start in range(0, 9000, 1000):
        queue.submit_many([make_request(f"gone-{start + n}") for n in range(1000)])
    stock.empty()
    queue.submit(make_request("good"))

    for _claim in range(60):
        if claims := queue.claim("w", ROOM).claims:
            break
    assert [claim.job_id for claim in claims] == ["good"]


def test_thousands_of_expired_jobs_stop_no_claim(queue: JobQueue, redis: Client) -> None:
    for start in range(0, 9000, 1000):
        jobs = [make_request(f"late-{start + n}", deadline_s=1e-6) for n in range(1000)]
        queue.submit_many(jobs)
    queue.submit(make_request("good", priority=Priority.INTERACTIVE))

    assert claim_one(queue).job_id == "good"
    assert redis.zscore(keys.LEASES, "good") is not None


@pytest.mark.parametrize("timeout", [sys.maxsize, -1, "1e400", "soon"])
def test_a_timeout_beyond_all_time_takes_no_other_job_along(
    queue: JobQueue, stock: Queue, redis: Client, timeout: Any
) -> None:
    queue.submit(make_request("good", priority=Priority.INTERACTIVE))
    stock.enqueue("any.func", job_id="stock")
    redis.hset("rq:job:stock", "timeout", timeout)

    assert {claim.job_id for claim in queue.claim("w", ROOM).claims} == {"good", "stock"}
    assert redis.zscore(keys.LEASES, "good") is not None


def test_a_time_to_live_beyond_all_time_is_cut(
    queue: JobQueue, stock: Queue, redis: Client
) -> None:
    stock.enqueue("any.func", failure_ttl=sys.maxsize, job_id="stock")

    assert succeed(queue, claim_one(queue), **FAILED)
    assert redis.ttl("rq:job:stock") > 0
    assert redis.zcard(keys.LEASES) == 0


def test_a_script_that_fails_half_way_leaves_its_leases(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request("good"))
    queue.submit(make_request("bad"))
    redis.set("rq:executions:bad", "not a sorted set")

    with pytest.raises(Exception, match="WRONGTYPE"):
        queue.claim("w", ROOM)
    assert redis.zscore(keys.LEASES, "good") is not None
    assert redis.zscore(keys.LEASES, "bad") is not None


# -- second lives ----------------------------------------------------------------------------------


def test_a_requeued_job_whose_priority_changes_starts_a_new_life(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1, 2], 2, "AB")
    succeed(queue, claim, **FAILED, count=2)
    requeue(redis)
    queue.reprioritise("job-1", Priority.INTERACTIVE)

    claim = claim_one(queue)
    assert (claim.published_ids, claim.attempt) == ((), 1)
    assert redis.zscore(keys.DEAD, "job-1") is None
    assert succeed(queue, claim, text="C")
    assert [event.text for event in events.tokens(redis, "job-1")] == ["C"]


def test_an_expired_job_that_is_requeued_and_moved_takes_no_other_job_along(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request(deadline_s=1e-6))
    leases.sweep()
    requeue(redis)
    queue.submit(make_request("good", priority=Priority.INTERACTIVE))
    queue.reprioritise("job-1", Priority.BATCH)

    assert [claim.job_id for claim in queue.claim("w", ROOM).claims] == ["good", "job-1"]


def test_a_requeued_job_waits_as_long_as_a_new_one_and_does_not_vanish(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue), **FAILED)
    requeue(redis)
    leases.sweep()

    assert redis.ttl("rq:job:job-1") == -1
    assert redis.zscore(keys.EXPIRIES, "job-1") is not None


# -- what stock RQ cancels and deletes -------------------------------------------------------------


def test_a_running_job_that_stock_rq_cancelled_gets_its_end(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1, "secret")
    rq_job(redis).cancel()
    leases.drop("worker-1", [claim])

    assert redis.ttl("rq:job:job-1") > 0
    assert redis.ttl(keys.stream("job-1")) > 0
    assert [record.state for record in events.completions(redis, 9)] == [JobState.CANCELLED]
    assert events.tokens(redis, "job-1")[-1].state is JobState.CANCELLED


def test_a_waiting_job_that_stock_rq_cancelled_gets_its_end(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request())
    rq_job(redis).cancel()
    queue.claim("w", ROOM)

    assert [record.state for record in events.completions(redis, 9)] == [JobState.CANCELLED]


def test_a_running_job_that_stock_rq_deleted_leaves_no_text(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], 1, "secret")
    rq_job(redis).delete()
    leases.drop("worker-1", [claim])

    assert not redis.exists(keys.stream("job-1"))


def test_a_second_copy_of_an_id_changes_nothing_of_the_ended_job(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    redis.rpush("rq:queue:headrace-default", "job-1")
    (claim,) = queue.claim("w", Room(1, 9999)).claims
    assert succeed(queue, claim)

    assert queue.claim("w", ROOM).odd == [("job-1", "finished")]
    assert redis.exists(keys.stream("job-1"))
    assert redis.ttl("rq:job:job-1") > 0


def test_an_id_whose_job_vanished_stays_vanished(queue: JobQueue, redis: Client) -> None:
    redis.rpush("rq:queue:headrace-default", "ghost")

    assert queue.claim("w", ROOM).odd == [("ghost", "")]
    assert not redis.exists("rq:job:ghost")


# -- what waits is counted right -------------------------------------------------------------------


def test_a_cancelled_retry_is_not_taken_off_twice(queue: JobQueue, redis: Client) -> None:
    queue.submit(make_request("a"))
    queue.submit(make_request("b"))
    (claim,) = queue.claim("w", Room(1, 9999)).claims
    succeed(queue, claim, result=None, reason="e", error="x", retry_share=1.0)
    queue.cancel("a")

    assert waiting_tokens(redis) == COST


def test_deleted_jobs_are_taken_off_with_all_their_tokens(queue: JobQueue, redis: Client) -> None:
    for number in range(20):
        queue.submit(make_request(f"a{number}"))
    for number in range(18):
        rq_job(redis, f"a{number}").delete()
    queue.claim("w", Room(1, 9999))

    assert waiting_tokens(redis) == COST


def test_a_tenant_gets_back_what_cancelled_jobs_cost(queue: JobQueue) -> None:
    for number in range(20):
        queue.submit(make_request(f"a{number}", tenant="a"))
    for number in range(20):
        queue.submit(make_request(f"b{number}", tenant="b"))
        queue.cancel(f"a{number}")
    queue.submit(make_request("again", tenant="a"))

    claimed = [claim.job_id for claim in queue.claim("w", Room(2, 9999)).claims]
    assert "again" in claimed


# -- answers that got lost -------------------------------------------------------------------------


def test_what_a_lost_answer_brought_waits_again_and_nobody_died(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    queue.submit(make_request("known"))
    known = claim_one(queue, "w")
    queue.submit(make_request("lost"))
    queue.claim("w", ROOM)

    assert leases.recall("w", [known]) == 1
    again = claim_one(queue, "w")
    assert (again.job_id, again.attempt) == ("lost", 1)
    assert redis.hget("rq:job:lost", "hr_deaths") is None


def test_a_dependent_that_rq_cannot_read_stops_nobody(
    queue: JobQueue, leases: Leases, stock: Queue, redis: Client
) -> None:
    parent = stock.enqueue_call("headrace.generate", (make_request().encode(),), job_id="parent")
    stock.enqueue_call("any.func", depends_on=parent, job_id="child")
    redis.hset("rq:job:child", "status", "no status of RQ")

    assert succeed(queue, claim_one(queue))
    leases.sweep()
    assert redis.hlen(keys.PARENTS) == 0
    assert queue.state("parent") is JobState.SUCCEEDED


# -- a server without memory -----------------------------------------------------------------------


@pytest.fixture
def out_of_memory(redis: Client) -> Iterator[Callable[[], None]]:
    """From its call to the test's end the server takes no command that needs memory."""
    yield lambda: redis.config_set("maxmemory", "1")
    redis.config_set("maxmemory", "0")


def test_a_server_without_memory_refuses_each_submission_by_that_name(
    queue: JobQueue, redis: Client, out_of_memory: Callable[[], None]
) -> None:
    out_of_memory()
    with pytest.raises(OutOfMemoryError):
        queue.submit_many([make_request("a"), make_request("b")])
    redis.config_set("maxmemory", "0")

    queue.submit_many([make_request("a"), make_request("b")])
    assert [claim.job_id for claim in queue.claim("w", ROOM).claims] == ["a", "b"]


def test_a_claim_from_a_server_without_memory_loses_no_job(
    queue: JobQueue, redis: Client, out_of_memory: Callable[[], None]
) -> None:
    for name in "abc":
        queue.submit(make_request(name))
    out_of_memory()
    first = [claim.job_id for claim in queue.claim("w", Room(2, 10 * COST)).claims]
    redis.config_set("maxmemory", "0")

    assert first + [claim.job_id for claim in queue.claim("w", ROOM).claims] == ["a", "b", "c"]
    assert redis.zcard(keys.LEASES) == 3


@pytest.mark.parametrize("waiting", [1, 300])
def test_a_sweep_of_a_server_without_memory_ends_what_has_expired(
    queue: JobQueue, redis: Client, leases: Leases, out_of_memory: Callable[[], None], waiting: int
) -> None:
    queue.submit_many([make_request(f"job-{number}") for number in range(waiting)])
    redis.zadd(keys.EXPIRIES, {f"job-{waiting - 1}": 1.0})
    out_of_memory()

    assert leases.sweep().expired == [f"job-{waiting - 1}"]
    assert queue.get(f"job-{waiting - 1}").state is JobState.EXPIRED
    assert queue.waiting() == waiting - 1


def test_a_sweep_of_a_server_without_memory_redelivers_the_jobs_of_the_dead(
    queue: JobQueue, redis: Client, leases: Leases, out_of_memory: Callable[[], None]
) -> None:
    queue.submit(make_request())
    claim_one(queue)
    redis.zadd(keys.LEASES, {"job-1": 1.0})
    out_of_memory()

    assert leases.sweep().redelivered == ["job-1"]
