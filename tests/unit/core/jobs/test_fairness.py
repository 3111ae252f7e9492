"""Whose turn it is, on a real server: priorities, tenants, guaranteed shares."""

from __future__ import annotations

from collections import Counter

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.precedence import NO_PRECEDENCE, Precedence
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Priority, Room
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, succeed

ONE = Room(slots=1, tokens=10_000)
COST = make_request().cost_tokens
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


def test_a_tenant_pays_for_what_its_answers_without_a_limit_did_cost(queue: JobQueue) -> None:
    submit(queue, "long", 20, max_tokens=2000, expected_tokens=15)
    submit(queue, "short", 20, max_tokens=2000, expected_tokens=15)
    (claim,) = queue.claim("worker-1", ONE).claims
    succeed(queue, claim, count=200)
    for name in ("long", "short"):
        queue.submit(make_request(f"{name}-last", tenant=name))

    order = take(queue, 41)
    assert order.index("long-last") > order.index("short-last")


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


def test_a_submission_is_told_the_place_that_the_guaranteed_share_gives_it(
    queue: JobQueue,
) -> None:
    for number in range(50):
        queue.submit(make_request(f"now-{number}", priority=Priority.INTERACTIVE))
    batch = [make_request(f"batch-{number}", priority=Priority.BATCH) for number in range(9)]
    told = [submitted.place for submitted in queue.submit_all(batch)]

    assert told[0] is not None
    assert told[0].jobs == 7  # one of eight slots is theirs
    assert told == [queue.get(request.id).place for request in batch]


def test_the_position_of_a_job_is_its_place_in_the_fair_order(queue: JobQueue) -> None:
    submit(queue, "flood", 10)
    submit(queue, "late", 1)

    assert queue.get("late-0").position == 1
    assert queue.get("flood-9").position == 10


# -- priorities ------------------------------------------------------------------------------------


def waits_since(redis: Client, job_id: str, seconds: float) -> None:
    accepted = float(redis.hget(f"rq:job:{job_id}", "hr_accepted"))
    redis.hset(f"rq:job:{job_id}", "hr_accepted", accepted - seconds)


def offer(yielded: int = 0, default: int = 0, batch: int = 0) -> Precedence:
    """Slots, with tokens for ordinary jobs in each."""
    return Precedence(*(Room(slots, slots * COST) for slots in (yielded, default, batch)))


def claim_ids(queue: JobQueue, room: Room, precedence: Precedence = NO_PRECEDENCE) -> list[str]:
    return [claim.job_id for claim in queue.claim("w", room, precedence).claims]


@pytest.fixture
def busy_queue(queue: JobQueue) -> JobQueue:
    """The worker of `claim_ids` has a job, so that nothing is its first one."""
    queue.submit(make_request("running"))
    assert claim_ids(queue, ONE) == ["running"]
    return queue


@pytest.mark.parametrize("age_s", [0, 60, 3600, 80_000])
def test_interactive_jobs_go_first_however_long_the_others_have_waited(
    queue: JobQueue, redis: Client, age_s: float
) -> None:
    for priority in (BATCH, DEFAULT):
        queue.submit(make_request(f"old-{priority}", priority=priority))
        waits_since(redis, f"old-{priority}", age_s)
    queue.submit(make_request("new", priority=INTERACTIVE))

    assert take(queue, 3) == ["new", "old-default", "old-batch"]


def test_what_is_guaranteed_goes_before_interactive_work(queue: JobQueue) -> None:
    submit(queue, "now", 8, priority=INTERACTIVE)
    submit(queue, "usual", 8)
    submit(queue, "batch", 8, priority=BATCH)

    taken = claim_ids(queue, Room(8, 10_000), offer(default=2, batch=1))
    assert taken == ["usual-0", "usual-1", "batch-0", *(f"now-{number}" for number in range(5))]


def test_guaranteed_slots_that_nobody_waits_for_are_given_to_others(queue: JobQueue) -> None:
    submit(queue, "now", 8, priority=INTERACTIVE)

    assert len(claim_ids(queue, Room(8, 10_000), offer(default=2, batch=1))) == 8


def test_interactive_jobs_take_the_room_of_jobs_that_yield(busy_queue: JobQueue) -> None:
    submit(busy_queue, "usual", 3)
    submit(busy_queue, "now", 3, priority=INTERACTIVE)

    assert claim_ids(busy_queue, Room(0, 0), offer(yielded=2)) == ["now-0", "now-1"]


def test_no_other_job_takes_the_room_of_jobs_that_yield(busy_queue: JobQueue) -> None:
    submit(busy_queue, "usual", 3)
    submit(busy_queue, "batch", 3, priority=BATCH)

    assert claim_ids(busy_queue, Room(0, 0), offer(yielded=4, default=1, batch=1)) == []
    assert claim_ids(busy_queue, Room(1, COST), offer(yielded=4)) == ["usual-0"]


def test_free_room_is_taken_before_that_of_jobs_that_yield(busy_queue: JobQueue) -> None:
    submit(busy_queue, "now", 1, priority=INTERACTIVE)
    submit(busy_queue, "usual", 2)

    assert claim_ids(busy_queue, Room(2, 2 * COST), offer(yielded=1)) == ["now-0", "usual-0"]


def test_tokens_that_yield_are_as_few_as_they_are(busy_queue: JobQueue) -> None:
    submit(busy_queue, "now", 3, priority=INTERACTIVE)

    yielded = Precedence(yielded=Room(3, 2 * COST - 1))
    assert claim_ids(busy_queue, Room(0, 0), yielded) == ["now-0"]


def test_a_huge_job_of_lower_priority_does_not_block_interactive_work(
    busy_queue: JobQueue,
) -> None:
    submit(busy_queue, "huge", 1, max_tokens=900)
    submit(busy_queue, "usual", 1)
    submit(busy_queue, "now", 1, priority=INTERACTIVE)

    assert claim_ids(busy_queue, Room(4, 4 * COST), offer(default=1)) == ["now-0"]
    assert claim_ids(busy_queue, Room(4, 3 * COST), offer(default=1)) == []  # it is waited for


def test_a_guaranteed_job_that_does_not_fit_has_its_tokens_kept_free(
    busy_queue: JobQueue,
) -> None:
    submit(busy_queue, "large", 1, max_tokens=2 * COST)
    submit(busy_queue, "now", 4, priority=INTERACTIVE)

    owed = Precedence(default=Room(1, 2 * COST))
    assert claim_ids(busy_queue, Room(4, 2 * COST), owed) == []
    assert claim_ids(busy_queue, Room(4, 3 * COST), owed) == ["large-0"]


def test_batch_work_does_not_take_what_guaranteed_default_work_waits_for(
    busy_queue: JobQueue,
) -> None:
    submit(busy_queue, "large", 1, max_tokens=2 * COST)
    submit(busy_queue, "batch", 1, priority=BATCH)

    owed = Precedence(default=Room(1, 3 * COST), batch=Room(1, COST))
    assert claim_ids(busy_queue, Room(4, 2 * COST), owed) == []


def test_batch_work_gets_its_share_while_default_work_waits_for_room(
    busy_queue: JobQueue,
) -> None:
    submit(busy_queue, "large", 1, max_tokens=2 * COST)
    submit(busy_queue, "batch", 2, priority=BATCH)

    assert claim_ids(busy_queue, Room(4, 2 * COST), offer(batch=1)) == ["batch-0"]


def test_a_full_worker_does_not_empty_itself_for_a_suspect(
    busy_queue: JobQueue, redis: Client
) -> None:
    busy_queue.submit(make_request("suspect"))
    redis.zadd(keys.fair("headrace-default"), {"suspect": "+inf"})
    submit(busy_queue, "now", 2, priority=INTERACTIVE)

    assert claim_ids(busy_queue, Room(0, 0), offer(yielded=1)) == ["now-0"]
    assert claim_ids(busy_queue, Room(1, COST), offer(yielded=1)) == []  # now it does
    assert claim_ids(busy_queue, Room(0, 0), offer(yielded=1)) == []


def test_a_job_too_large_for_the_room_is_waited_for(queue: JobQueue) -> None:
    queue.submit(make_request("running"))
    claim_one(queue)
    queue.submit(make_request("large", max_tokens=200))
    queue.submit(make_request("small"))

    assert queue.claim("worker-1", Room(8, 100)).claims == []


def test_an_idle_worker_takes_its_first_job_whatever_it_costs(queue: JobQueue) -> None:
    submit(queue, "large", 2, max_tokens=200, priority=BATCH)

    assert claim_ids(queue, Room(8, 1)) == ["large-0"]
    assert claim_ids(queue, Room(8, 1)) == []


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
