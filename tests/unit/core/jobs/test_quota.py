"""What a tenant may have in hand, and that the books about it are right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect
from headrace.core.errors import InvalidRequest, LimitExceeded, QueueFull
from headrace.core.jobs import keys
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.handover import Idempotency, Quota
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import Priority, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import bury, claim_one, rq_job, succeed

TWO = Quota(running_jobs=2)
COST = make_request().cost_tokens


def submit(queue: JobQueue, job_id: str, quota: Quota = TWO, tenant: str = "a") -> None:
    queue.submit(make_request(job_id, tenant=tenant), quota=quota)


def books(redis: Client, tenant: str = "a") -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = redis.hgetall(keys.unfinished(tenant))
    return found


def refusal(queue: JobQueue, quota: Quota) -> str:
    with pytest.raises(LimitExceeded) as refused:
        submit(queue, "one-more", quota)
    return refused.value.code


def test_jobs_that_wait_and_jobs_that_run_count_together(queue: JobQueue) -> None:
    submit(queue, "running")
    claim_one(queue)
    submit(queue, "waiting")

    assert refusal(queue, TWO) == "running_jobs"
    submit(queue, "another", tenant="b")


@pytest.mark.parametrize("how", ["succeeded", "failed", "cancelled", "dead"])
def test_a_job_that_ended_makes_room(queue: JobQueue, redis: Client, how: str) -> None:
    if how == "dead":
        bury(queue, make_request("job-1", tenant="a"))
    else:
        submit(queue, "job-1", Quota(running_jobs=1))
        assert refusal(queue, Quota(running_jobs=1)) == "running_jobs"
        if how == "cancelled":
            queue.cancel("job-1")
        else:
            ending = {} if how == "succeeded" else {"result": None, "reason": "error"}
            assert succeed(queue, claim_one(queue), **ending)

    assert books(redis) == {}
    submit(queue, "job-2", Quota(running_jobs=1))


def test_a_refused_job_leaves_nothing_behind(queue: JobQueue, redis: Client) -> None:
    submit(queue, "a1", Quota(running_jobs=1))
    before = set(redis.scan_iter())

    refusal(queue, Quota(running_jobs=1))

    assert set(redis.scan_iter()) == before


def test_a_job_that_waits_again_is_counted_once(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    submit(queue, "a1")
    claim_one(queue)
    leases.take_back("worker-1")
    queue.reprioritise("a1", Priority.BATCH)

    assert books(redis) == {b"a1": b"%d" % COST, b":tokens": b"%d" % COST}


def test_a_job_asked_for_again_is_not_refused(queue: JobQueue) -> None:
    key = Idempotency("key", "fingerprint")
    quota = Quota(running_jobs=1)
    first = queue.submit(make_request("a1", tenant="a"), key, quota=quota)
    again = queue.submit(make_request("a2", tenant="a"), key, quota=quota)
    assert (again.job_id, again.is_new) == (first.job_id, False)


def test_two_tenants_may_use_the_same_idempotency_key(queue: JobQueue) -> None:
    key = Idempotency("key", "fingerprint")
    for tenant in ("a", "b"):
        request = make_request(f"of-{tenant}", tenant=tenant)
        assert queue.submit(request, key).job_id == f"of-{tenant}"


def test_a_share_is_of_the_jobs_that_may_wait(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 10}))
    half = Quota(queue_share=0.25)
    submit(queue, "a1", half)
    submit(queue, "a2", half)

    assert refusal(queue, half) == "queue_share"
    submit(queue, "b1", half, tenant="b")


def test_a_share_is_of_the_tokens_that_may_wait_too(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_tokens": 4 * COST}))
    half = Quota(queue_share=0.5)
    submit(queue, "a1", half)
    submit(queue, "a2", half)

    assert refusal(queue, half) == "queue_share"


def test_the_smallest_share_takes_one_job(queue: JobQueue) -> None:
    least = Quota(queue_share=1e-9)
    submit(queue, "a1", least)
    assert refusal(queue, least) == "queue_share"


@pytest.mark.parametrize("quota", [Quota(running_jobs=2), Quota(queue_share=0.2)])
def test_more_jobs_at_once_than_a_quota_allows_are_a_bad_request_and_fewer_are_not(
    redis: Client, settings: Settings, quota: Quota
) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 10}))
    three = [make_request(f"a{number}", tenant="a") for number in range(3)]

    with pytest.raises(InvalidRequest, match="3 jobs at once: this key allows 2"):
        queue.submit_all(three, quota=quota)
    queue.submit_all(three[:2], quota=quota)
    with pytest.raises(LimitExceeded):
        queue.submit_all(three[2:], quota=quota)


def test_a_full_queue_is_full_whatever_the_share(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 1}))
    submit(queue, "b1", tenant="b")
    with pytest.raises(QueueFull):
        submit(queue, "a1", Quota(queue_share=0.5))


def test_many_at_once_cannot_pass_the_limit_together(queue: JobQueue) -> None:
    def try_to_submit(number: int) -> bool:
        try:
            submit(queue, f"a{number}", Quota(running_jobs=7))
        except LimitExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        accepted = list(pool.map(try_to_submit, range(64)))
    assert sum(accepted) == 7


def test_a_job_that_stock_rq_deleted_makes_room(queue: JobQueue, redis: Client) -> None:
    submit(queue, "a1")
    submit(queue, "a2")
    rq_job(redis, "a1").delete()

    submit(queue, "a3")

    assert set(books(redis)) == {b"a2", b"a3", b":tokens"}


def test_a_job_that_stock_rq_requeued_counts_again(queue: JobQueue, redis: Client) -> None:
    bury(queue, make_request("a1", tenant="a"))
    rq_job(redis, "a1").requeue()
    claim_one(queue)

    assert set(books(redis)) == {b"a1", b":tokens"}


def test_a_replay_counts_for_the_tenant_of_its_letter(queue: JobQueue) -> None:
    bury(queue, make_request("dead-1", tenant="a"))
    submit(queue, "a1", Quota(running_jobs=1))

    with pytest.raises(LimitExceeded):
        DeadLetters(queue).replay("dead-1", quota=Quota(running_jobs=1))


STEPS = st.lists(st.sampled_from(["submit", "claim", "finish", "cancel", "die", "purge"]))


@given(steps=STEPS)
@hypothesis_settings(max_examples=60, deadline=None)
def test_the_books_hold_what_waits_and_runs_whatever_happens(
    redis_url: str, steps: list[str]
) -> None:
    redis = connect(redis_url, WORKER_TIMEOUT_S)
    redis.flushall()
    settings = Settings()
    queue, leases = JobQueue(redis, settings), Leases(redis, settings)
    jobs: list[str] = []
    claims = []
    for number, step in enumerate(steps):
        if step == "submit":
            jobs.append(f"job-{number}")
            queue.submit(make_request(jobs[-1], tenant="a", max_tokens=number + 1))
        elif step == "claim":
            claims += queue.claim("worker-1", Room(1, 10_000)).claims
        elif step == "finish" and claims:
            succeed(queue, claims.pop(0))
        elif step == "cancel" and jobs:
            queue.cancel(jobs[number % len(jobs)])
        elif step == "die":
            leases.take_back("worker-1")
        elif step == "purge" and jobs:
            queue.purge_many(jobs)
            jobs = [job_id for job_id in jobs if redis.exists(f"rq:job:{job_id}")]
    alive = {job_id for job_id in jobs if not queue.state(job_id).is_terminal}
    costs = [int(redis.hget(f"rq:job:{job_id}", "hr_tokens")) for job_id in alive]
    found = books(redis)
    assert int(found.pop(b":tokens", b"0")) == sum(costs)
    assert {job_id.decode() for job_id in found} == alive
    redis.connection_pool.disconnect()
