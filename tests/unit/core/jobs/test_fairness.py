"""Whose turn it is, on a real server: priorities, tenants, reserved slots."""

from __future__ import annotations

from collections import Counter

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import Priority, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, succeed

ONE = Room(slots=1, tokens=10_000)
BATCH, DEFAULT, INTERACTIVE = Priority.BATCH, Priority.DEFAULT, Priority.INTERACTIVE


def take(queue: JobQueue, count: int) -> list[str]:
    """The next jobs one by one, as they are claimed."""
    taken = []
    for _job in range(count):
        claim = queue.claim("worker-1", ONE).claims[0]
        assert succeed(queue, claim)
        taken.append(claim.job_id)
    return taken


def submit(queue: JobQueue, tenant: str, count: int, **changes: object) -> None:
    for number in range(count):
        queue.submit(make_request(f"{tenant}-{number}", tenant=tenant, **changes))


# -- tenants ---------------------------------------------------------------------------------------


def test_the_jobs_of_one_tenant_are_first_come_first_served(queue: JobQueue) -> None:
    submit(queue, "a", 5)

    assert take(queue, 5) == [f"a-{number}" for number in range(5)]


def test_a_late_tenant_does_not_wait_for_a_flood(queue: JobQueue) -> None:
    submit(queue, "flood", 50)
    take(queue, 3)
    submit(queue, "late", 2)

    assert take(queue, 4) == ["late-0", "flood-3", "late-1", "flood-4"]


def test_tenants_share_by_tokens_not_by_jobs(queue: JobQueue) -> None:
    submit(queue, "long", 20, max_tokens=95)
    submit(queue, "short", 80, max_tokens=20)

    tenants = Counter(job_id.split("-")[0] for job_id in take(queue, 25))
    assert tenants == {"long": 5, "short": 20}


def test_a_tenant_who_was_away_gains_nothing_by_it(queue: JobQueue) -> None:
    submit(queue, "busy", 40)
    take(queue, 20)
    submit(queue, "away", 20)

    tenants = [job_id.split("-")[0] for job_id in take(queue, 20)]
    assert Counter(tenants) == {"busy": 10, "away": 10}


def test_of_two_tenants_whose_turn_has_come_the_first_goes_first(queue: JobQueue) -> None:
    for tenant in ("z", "a", "m"):
        submit(queue, tenant, 1)

    assert take(queue, 3) == ["z-0", "a-0", "m-0"]


def test_an_empty_queue_remembers_no_tenant(queue: JobQueue, redis: Client) -> None:
    submit(queue, "a", 3)
    take(queue, 3)

    assert redis.keys("headrace:fair:*") == redis.keys("headrace:tenants:*") == []
    assert redis.keys("headrace:share:*") == []


def test_tenants_whose_turn_has_passed_are_forgotten(queue: JobQueue, redis: Client) -> None:
    for number in range(20):
        submit(queue, f"tenant{number}", 1)
    submit(queue, "big", 5, max_tokens=200)
    take(queue, 23)

    assert redis.zcard("headrace:tenants:headrace-default") == 1


def test_the_position_of_a_job_is_its_place_in_the_fair_order(queue: JobQueue) -> None:
    submit(queue, "flood", 10)
    submit(queue, "late", 1)

    assert queue.get("late-0").position == 1
    assert queue.get("flood-9").position == 10


# -- priorities ------------------------------------------------------------------------------------


def waits_since(redis: Client, job_id: str, seconds: float) -> None:
    accepted = float(redis.hget(f"rq:job:{job_id}", "hr_accepted"))
    redis.hset(f"rq:job:{job_id}", "hr_accepted", accepted - seconds)


def test_waiting_makes_up_for_priority(queue: JobQueue, redis: Client, settings: Settings) -> None:
    queue.submit(make_request("old", priority=BATCH))
    queue.submit(make_request("new", priority=INTERACTIVE))
    waits_since(redis, "old", 2 * settings.priority_step_s + 1)

    assert take(queue, 2) == ["old", "new"]


def test_a_little_waiting_does_not(queue: JobQueue, redis: Client, settings: Settings) -> None:
    queue.submit(make_request("old", priority=BATCH))
    queue.submit(make_request("new", priority=INTERACTIVE))
    waits_since(redis, "old", 2 * settings.priority_step_s - 1)

    assert take(queue, 2) == ["new", "old"]


def test_batch_work_leaves_the_reserved_slots_alone(queue: JobQueue) -> None:
    for number in range(8):
        queue.submit(make_request(f"batch-{number}", priority=BATCH))

    assert len(queue.claim("w", ROOM, Room(slots=6, tokens=10_000)).claims) == 6
    assert queue.claim("w", Room(2, 10_000), Room(0, 10_000)).claims == []
    queue.submit(make_request("now", priority=INTERACTIVE))
    (claim,) = queue.claim("w", Room(2, 10_000), Room(0, 10_000)).claims
    assert claim.job_id == "now"


def test_batch_work_leaves_the_reserved_tokens_alone(queue: JobQueue) -> None:
    cost = make_request().cost_tokens
    for number in range(8):
        queue.submit(make_request(f"batch-{number}", priority=BATCH))

    claimed = queue.claim("w", Room(8, 8 * cost), Room(8, 5 * cost)).claims
    assert len(claimed) == 5


def test_a_job_too_large_for_the_room_is_waited_for(queue: JobQueue) -> None:
    queue.submit(make_request("running"))
    claim_one(queue)
    queue.submit(make_request("large", max_tokens=200))
    queue.submit(make_request("small"))

    assert queue.claim("worker-1", Room(8, 100)).claims == []


def test_an_idle_worker_takes_its_first_job_whatever_it_costs(queue: JobQueue) -> None:
    queue.submit(make_request("large", max_tokens=200, priority=BATCH))

    assert claim_one(queue).job_id == "large"
    assert [c.job_id for c in queue.claim("idle", Room(8, 1), Room(0, 0)).claims] == []
    queue.submit(make_request("larger", max_tokens=200, priority=BATCH))
    assert [c.job_id for c in queue.claim("idle", Room(8, 1), Room(0, 0)).claims] == ["larger"]


@pytest.mark.parametrize("at_front", [False, True])
def test_jobs_of_stock_rq_take_their_turn(queue: JobQueue, redis: Client, at_front: bool) -> None:
    submit(queue, "a", 3)
    stock = Queue("headrace-default", connection=redis, serializer=JSONSerializer)
    stock.enqueue(
        "headrace.generate", make_request("stock").encode(), job_id="stock", at_front=at_front
    )

    assert "stock" in take(queue, 4)


def test_a_job_that_stock_rq_took_out_is_not_run(queue: JobQueue, redis: Client) -> None:
    submit(queue, "a", 2)
    Queue("headrace-default", connection=redis).remove("a-0")

    claimed = queue.claim("worker-1", ROOM)
    assert [claim.job_id for claim in claimed.claims] == ["a-1"]
    assert claimed.odd == []


def test_a_job_stands_in_rqs_queue_and_in_the_fair_order_or_in_neither(
    queue: JobQueue, redis: Client
) -> None:
    submit(queue, "a", 3)
    queue.cancel("a-1")
    claim_one_of_three = queue.claim("worker-1", ONE).claims

    assert [claim.job_id for claim in claim_one_of_three] == ["a-0"]
    assert redis.lrange("rq:queue:headrace-default", 0, -1) == [b"a-2"]
    assert redis.zrange(keys.fair("headrace-default"), 0, -1) == [b"a-2"]
    assert int(redis.hget(keys.share("headrace-default"), "tokens")) == make_request().cost_tokens


# -- long queues -----------------------------------------------------------------------------------


@pytest.fixture
def long_queue(queue: JobQueue) -> JobQueue:
    """Two tenants with 200 jobs each, one behind the other."""
    for tenant in ("early", "late"):
        queue.submit_many([make_request(f"{tenant}-{n}", tenant=tenant) for n in range(200)])
    return queue


def listed(redis: Client) -> list[str]:
    return [job_id.decode() for job_id in redis.lrange("rq:queue:headrace-default", 0, -1)]


def test_jobs_are_taken_out_of_the_middle_of_a_long_queue(
    long_queue: JobQueue, redis: Client
) -> None:
    claims = long_queue.claim("w", Room(8, 10_000)).claims

    taken = {claim.job_id for claim in claims}
    assert taken == {f"{tenant}-{n}" for tenant in ("early", "late") for n in range(4)}
    expected = [f"{tenant}-{n}" for tenant in ("early", "late") for n in range(4, 200)]
    assert listed(redis) == expected


def test_a_long_queue_that_stock_rq_has_changed_loses_nothing(
    long_queue: JobQueue, redis: Client
) -> None:
    stock = Queue("headrace-default", connection=redis, serializer=JSONSerializer)
    for job_id in ("early-0", "early-150", "late-7"):
        stock.remove(job_id)
    stock.enqueue_call(
        "headrace.generate", (make_request().encode(),), job_id="stock", at_front=True
    )
    waiting = set(listed(redis))

    taken = []
    while claims := long_queue.claim("w", Room(32, 100_000)).claims:
        taken += [claim.job_id for claim in claims]
    assert sorted(taken) == sorted(waiting)
    assert listed(redis) == []
    assert redis.keys("headrace:line:*") == []
