"""Jobs of another model's card on a real server: set aside, and back with their worker."""

from __future__ import annotations

from collections import Counter

import pytest
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from headrace.core.card_store import CardStore
from headrace.core.connection import Client
from headrace.core.errors import LimitExceeded, QueueFull
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.aside import NO_WORKER, OTHER_CARD, WaitingFor
from headrace.core.jobs.backlog import read_backlog
from headrace.core.jobs.handover import Claim, Claimed, Quota
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.pace import Pace
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.timeline import read_timeline
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import JobState, Priority, Room
from tests.fakes import CARD, make_card, make_request
from tests.unit.core.jobs.steps import everything, publish, succeed

OLD, NEW = make_card("old"), CARD
ROOM, ONE = Room(slots=8, tokens=10_000), Room(slots=1, tokens=10_000)
INTERACTIVE, BATCH = Priority.INTERACTIVE, Priority.BATCH
QUEUE = "headrace-default"
AT_ONCE = 25
"""Jobs that one claim sets aside at most."""


def submit_old(queue: JobQueue, *job_ids: str, **changes: object) -> None:
    fields = {"card_hash": OLD.hash, "model": "old"} | changes
    queue.submit_all([make_request(job_id, **fields) for job_id in job_ids])


def claim_new(queue: JobQueue, room: Room = ROOM) -> Claimed:
    return queue.claim("new-worker", room, card_hash=NEW.hash)


def claim_old(queue: JobQueue, room: Room = ROOM) -> list[Claim]:
    return queue.claim("old-worker", room, card_hash=OLD.hash).claims


def ids(claims: list[Claim]) -> list[str]:
    return [claim.job_id for claim in claims]


def take_old(queue: JobQueue, count: int) -> list[str]:
    """The next jobs of the old model one by one, as they are claimed."""
    taken = []
    for _job in range(count):
        [claim] = claim_old(queue, ONE)
        assert succeed(queue, claim)
        taken.append(claim.job_id)
    return taken


def set_aside(queue: JobQueue, *job_ids: str, **changes: object) -> None:
    submit_old(queue, *job_ids, **changes)
    claims = [claim_new(queue) for _few in range(0, len(job_ids), AT_ONCE)]
    assert sum(claimed.set_aside["old"] for claimed in claims) == len(job_ids)


def is_old_version(redis: Client, *job_ids: str) -> None:
    """As if the version before had submitted them: it notes no card."""
    for job_id in job_ids:
        redis.hdel(rq_adapter.job_key(job_id), "hr_card", "hr_model")


def keys_of_aside(redis: Client) -> list[bytes]:
    return [*redis.keys("headrace:*@*"), *redis.keys(keys.ASIDE)]


# -- out of the queues -----------------------------------------------------------------------------


def test_a_job_of_another_card_is_never_leased_and_goes_on_waiting(
    queue: JobQueue, redis: Client
) -> None:
    submit_old(queue, "old-1")
    queue.submit(make_request("new-1"))

    claimed = claim_new(queue)
    assert (ids(claimed.claims), claimed.set_aside) == (["new-1"], {"old": 1})
    job = queue.get("old-1")
    assert (job.state, job.attempts, job.worker) == (JobState.QUEUED, 0, None)
    assert redis.llen(rq_adapter.queue_key(QUEUE)) == 0
    assert redis.zrange(keys.LEASES, 0, -1) == [b"new-1"]


def test_a_claim_passes_each_such_job_once(queue: JobQueue) -> None:
    set_aside(queue, "old-1", "old-2")

    assert claim_new(queue) == Claimed([], [], [])


def test_a_claim_sets_a_bounded_number_aside_and_the_next_goes_on(
    queue: JobQueue, redis: Client
) -> None:
    submit_old(queue, *(f"old-{number}" for number in range(AT_ONCE + 20)))
    queue.submit(make_request("new-1"))
    redis.delete(keys.DOORBELL)

    first = claim_new(queue)
    assert (first.claims, first.set_aside) == ([], {"old": AT_ONCE})
    assert redis.llen(keys.DOORBELL) == 1  # its worker comes again without a rest
    second = claim_new(queue)
    assert (ids(second.claims), second.set_aside) == (["new-1"], {"old": 20})


def test_a_worker_of_any_card_sets_nothing_aside(queue: JobQueue) -> None:
    submit_old(queue, "old-1")

    claimed = queue.claim("worker-1", ROOM)
    assert (ids(claimed.claims), claimed.set_aside) == (["old-1"], {})


def test_jobs_of_several_cards_are_kept_apart(queue: JobQueue) -> None:
    submit_old(queue, "old-1")
    submit_old(queue, "older-1", card_hash="0123", model="older")

    assert claim_new(queue).set_aside == {"old": 1, "older": 1}
    assert ids(claim_old(queue)) == ["old-1"]
    assert ids(queue.claim("w", ROOM, card_hash="0123").claims) == ["older-1"]


# -- and back --------------------------------------------------------------------------------------


def test_they_come_back_in_the_order_of_their_acceptance(queue: JobQueue) -> None:
    names = [f"old-{number}" for number in range(20)]
    set_aside(queue, *names)

    assert take_old(queue, 20) == names


def test_priorities_hold_among_them_and_with_the_queues(queue: JobQueue) -> None:
    set_aside(queue, "batch", priority=BATCH)
    set_aside(queue, "default")
    set_aside(queue, "interactive", priority=INTERACTIVE)
    submit_old(queue, "late", priority=INTERACTIVE)

    assert ids(claim_old(queue)) == ["interactive", "late", "default", "batch"]


def test_tenants_share_their_worker_as_in_the_queues(queue: JobQueue) -> None:
    set_aside(queue, *(f"flood-{number}" for number in range(30)), tenant="flood")
    take_old(queue, 3)
    submit_old(queue, "late-0", "late-1", tenant="late")

    assert take_old(queue, 4) == ["late-0", "flood-3", "late-1", "flood-4"]


def test_the_tokens_of_what_is_set_aside_are_not_held_against_its_tenant(queue: JobQueue) -> None:
    set_aside(queue, *(f"old-{number}" for number in range(50)), tenant="a")
    for number in range(4):
        for tenant in ("a", "b"):
            queue.submit(make_request(f"{tenant}-{number}", tenant=tenant))

    first = claim_new(queue, Room(slots=4, tokens=10_000)).claims
    assert Counter(job_id[0] for job_id in ids(first)) == {"a": 2, "b": 2}


def test_jobs_in_the_queue_join_those_of_their_card_that_were_set_aside(
    queue: JobQueue, redis: Client
) -> None:
    set_aside(queue, "old-1")
    submit_old(queue, "old-2", "old-3")

    assert ids(claim_old(queue, ONE)) == ["old-1"]
    assert ids(claim_old(queue)) == ["old-2", "old-3"]
    assert [moment.event for moment in read_timeline(redis, "old-2")] == ["accepted", "claimed"]


def test_what_returns_to_the_front_of_the_queue_stands_in_front(
    queue: JobQueue, leases: Leases
) -> None:
    set_aside(queue, "old-1", "old-2", "old-3")
    leases.release(claim_old(queue, ONE))

    assert take_old(queue, 3) == ["old-1", "old-2", "old-3"]


def test_cards_alive_at_once_pass_no_job_to_and_fro(queue: JobQueue, redis: Client) -> None:
    for number in range(10):
        submit_old(queue, f"old-{number}")
        queue.submit(make_request(f"new-{number}"))

    old, new = [], []
    for _turn in range(10):
        old += ids(claim_old(queue, ONE))
        new += ids(claim_new(queue, ONE).claims)
    assert old == [f"old-{number}" for number in range(10)]
    assert new == [f"new-{number}" for number in range(10)]
    for job_id in (*old, *new):
        events = [moment.event for moment in read_timeline(redis, job_id)]
        assert events in (["accepted", "claimed"], ["accepted", "set_aside", "claimed"])


def test_nothing_is_left_of_them_when_all_have_gone(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "a", "b", tenant="x")
    set_aside(queue, "c", priority=BATCH)
    assert len(keys_of_aside(redis)) > 1
    take_old(queue, 2)
    queue.cancel("c")

    assert keys_of_aside(redis) == []
    assert queue.waiting() == 0


def test_an_idle_worker_is_woken_for_what_another_sets_aside(
    queue: JobQueue, redis: Client
) -> None:
    set_aside(queue, "old-1")
    redis.delete(keys.DOORBELL)

    queue.wait_for_ring(60, OLD.hash)
    assert ids(claim_old(queue)) == ["old-1"]
    assert redis.llen(keys.bell(OLD.hash)) == 0


# -- no harm done ----------------------------------------------------------------------------------


def test_a_job_that_ran_waits_with_what_it_streamed_and_goes_on(
    queue: JobQueue, leases: Leases
) -> None:
    submit_old(queue, "job-1")
    [claim] = claim_old(queue)
    publish(queue, claim, [7, 8], count=2)
    leases.take_back("old-worker")

    assert claim_new(queue).set_aside == {"old": 1}
    [again] = claim_old(queue)
    assert (again.attempt, again.published_ids) == (2, (7, 8))
    assert not succeed(queue, claim, count=2)  # the dead one comes too late
    assert succeed(queue, again, count=2)


def test_a_suspect_stays_one(queue: JobQueue, leases: Leases) -> None:
    submit_old(queue, "job-1")
    for _death in range(2):
        claim_old(queue)
        leases.take_back("old-worker")

    assert claim_new(queue).set_aside == {"old": 1}
    [claim] = claim_old(queue)
    assert claim.is_alone


def test_the_timeline_tells_that_a_job_was_set_aside(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "old-1")

    last = read_timeline(redis, "old-1")[-1]
    assert (last.event, last.worker) == ("set_aside", "new-worker")


def test_the_bounds_of_the_queue_hold_for_them_too(redis: Client, settings: Settings) -> None:
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_jobs": 3}))
    set_aside(queue, "old-1", "old-2")
    queue.submit(make_request("new-1"))

    assert queue.waiting() == 3
    with pytest.raises(QueueFull, match="3 jobs"):
        queue.submit(make_request("new-2"))


def test_the_bound_in_tokens_holds_for_them_too(redis: Client, settings: Settings) -> None:
    cost = make_request().cost_tokens
    queue = JobQueue(redis, settings.model_copy(update={"queue_max_tokens": 2 * cost}))
    set_aside(queue, "old-1", "old-2")

    with pytest.raises(QueueFull):
        queue.submit(make_request("new-1"))


def test_they_stay_in_their_tenants_hand(queue: JobQueue) -> None:
    set_aside(queue, "old-1", tenant="a")

    with pytest.raises(LimitExceeded):
        queue.submit(make_request("new-1", tenant="a"), quota=Quota(running_jobs=1))
    queue.cancel("old-1")
    queue.submit(make_request("new-1", tenant="a"), quota=Quota(running_jobs=1))


def test_a_new_job_does_not_wait_behind_those_of_another_card(queue: JobQueue) -> None:
    set_aside(queue, "old-1", "old-2")

    place = queue.submit(make_request("new-1")).place
    assert place is not None
    assert (place.jobs, place.tokens) == (0, 0)


def test_a_new_job_waits_behind_those_of_its_own_card(queue: JobQueue) -> None:
    set_aside(queue, "old-1", "old-2")

    place = queue.submit(make_request("old-3", card_hash=OLD.hash)).place
    assert place is not None
    assert (place.jobs, place.tokens) == (2, 2 * make_request().cost_tokens)


# -- how they end ----------------------------------------------------------------------------------


def test_one_expires_without_any_worker_of_its_model(
    redis: Client, settings: Settings, queue: JobQueue
) -> None:
    set_aside(queue, "old-1", deadline_s=60)
    redis.zadd(keys.EXPIRIES, {"old-1": 1.0})

    assert Leases(redis, settings).sweep().expired == ["old-1"]
    assert queue.state("old-1") is JobState.EXPIRED
    assert keys_of_aside(redis) == []


def test_one_keeps_the_time_at_which_it_expires(queue: JobQueue, redis: Client) -> None:
    submit_old(queue, "old-1")
    expires = redis.zscore(keys.EXPIRIES, "old-1")
    claim_new(queue)

    assert redis.zscore(keys.EXPIRIES, "old-1") == expires == queue.get("old-1").expires


def test_one_that_ran_before_waits_for_the_queues_time_to_live_and_not_for_ever(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    submit_old(queue, "old-1")
    leases.release(claim_old(queue))
    assert redis.zcard(keys.EXPIRIES) == 0

    claim_new(queue)
    left_s = redis.zscore(keys.EXPIRIES, "old-1") - redis.time()[0]
    assert left_s == pytest.approx(queue.settings.queue_ttl_s, abs=5)


def test_one_that_expired_is_not_claimed(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "old-1")
    redis.hset("rq:job:old-1", "hr_expires", 1.0)

    claimed = queue.claim("old-worker", ROOM, card_hash=OLD.hash)
    assert (claimed.claims, claimed.expired, claimed.odd) == ([], ["old-1"], [])


def test_one_is_cancelled_and_purged(queue: JobQueue, redis: Client) -> None:
    before = everything(redis)
    set_aside(queue, "old-1")

    assert queue.cancel("old-1")
    assert claim_old(queue) == []
    assert queue.purge("old-1")
    left = {key for key in everything(redis).keys() - before.keys() if b"old-1" in key}
    assert left == set()
    assert not any(b"old-1" in value for key, value in everything(redis).items() if b"@" in key)


def test_one_that_waits_is_not_purged(queue: JobQueue) -> None:
    set_aside(queue, "old-1")

    assert not queue.purge("old-1")
    assert ids(claim_old(queue)) == ["old-1"]


def test_one_changes_its_priority_where_it_is(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "old-1", "old-2")
    expires = redis.zscore(keys.EXPIRIES, "old-2")

    assert queue.reprioritise("old-2", INTERACTIVE)
    assert claim_new(queue) == Claimed([], [], [])
    assert redis.zscore(keys.EXPIRIES, "old-2") == expires
    claims = claim_old(queue)
    assert ids(claims) == ["old-2", "old-1"]
    assert claims[0].request is not None
    assert claims[0].request.priority is INTERACTIVE


def test_the_sweep_notices_what_stock_rq_cancelled(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    set_aside(queue, "old-1")
    RqJob.fetch("old-1", connection=redis, serializer=JSONSerializer).cancel()
    leases.sweep()

    assert queue.get("old-1").timings.committed is not None
    assert (queue.waiting(), keys_of_aside(redis)) == (0, [])


def test_the_sweep_notices_what_stock_rq_deleted(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    set_aside(queue, "old-1")
    RqJob.fetch("old-1", connection=redis, serializer=JSONSerializer).delete()
    leases.sweep()

    assert (queue.waiting(), keys_of_aside(redis)) == (0, [])


def test_a_claim_notices_it_too_and_finds_nothing_odd(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "old-1", "old-2")
    RqJob.fetch("old-1", connection=redis, serializer=JSONSerializer).cancel()

    claimed = queue.claim("old-worker", ROOM, card_hash=OLD.hash)
    assert (ids(claimed.claims), claimed.odd) == (["old-2"], [])
    assert queue.get("old-1").timings.committed is not None


def test_one_that_stock_rq_puts_into_a_queue_as_well_waits_once(
    queue: JobQueue, redis: Client
) -> None:
    set_aside(queue, "old-1")
    redis.rpush(rq_adapter.queue_key(QUEUE), "old-1")

    assert claim_new(queue) == Claimed([], [], [])
    assert queue.waiting() == 1
    assert ids(claim_old(queue)) == ["old-1"]
    assert keys_of_aside(redis) == []


# -- jobs of the version before --------------------------------------------------------------------


def test_a_job_without_a_card_is_given_back_uncharged_and_set_aside_then(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    submit_old(queue, "old-1")
    is_old_version(redis, "old-1")

    assert leases.pass_on(claim_new(queue).claims) == 1
    claimed = claim_new(queue)
    assert (claimed.claims, claimed.set_aside) == ([], {"old": 1})
    assert redis.zcard(keys.LEASES) == 0
    [claim] = claim_old(queue)
    assert (claim.job_id, claim.attempt) == ("old-1", 1)
    assert redis.hget("rq:job:old-1", "hr_deaths") is None


def test_a_worker_that_lost_such_a_job_meanwhile_changes_nothing(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    submit_old(queue, "old-1")
    is_old_version(redis, "old-1")
    late = claim_new(queue).claims
    leases.take_back("new-worker")
    [claim] = claim_old(queue)

    assert leases.pass_on(late) == 0
    assert succeed(queue, claim)


def test_such_jobs_are_not_kept_waiting_by_those_set_aside(
    queue: JobQueue, leases: Leases, redis: Client
) -> None:
    set_aside(queue, "old-1")
    submit_old(queue, "old-2")
    queue.submit(make_request("new-1"))
    is_old_version(redis, "old-2", "new-1")

    claims = claim_old(queue)
    assert sorted(ids(claims)) == ["new-1", "old-1", "old-2"]
    leases.pass_on([claim for claim in claims if claim.job_id == "new-1"])
    assert claim_old(queue) == []
    assert ids(claim_new(queue).claims) == ["new-1"]


def test_such_a_suspect_is_not_forgotten_for_those_set_aside(
    queue: JobQueue, redis: Client
) -> None:
    set_aside(queue, "old-1")
    submit_old(queue, "suspect", priority=INTERACTIVE)
    is_old_version(redis, "suspect")
    redis.hset("rq:job:suspect", "hr_deaths", 2)
    redis.zadd(keys.fair("headrace-interactive"), {"suspect": "inf"})

    [claim] = claim_old(queue)
    assert (claim.job_id, claim.is_alone) == ("suspect", True)


# -- what is seen of them --------------------------------------------------------------------------


def test_a_job_says_which_model_it_waits_for(queue: JobQueue) -> None:
    set_aside(queue, "old-1")

    job = queue.get("old-1")
    assert job.waiting_for == WaitingFor("old", NO_WORKER)
    assert (job.place, job.position) == (None, None)


def test_a_job_of_the_served_model_says_that_its_card_is_another(
    queue: JobQueue, redis: Client
) -> None:
    CardStore(redis).put(NEW)
    submit_old(queue, "old-1", model=NEW.name)
    claim_new(queue)

    assert queue.get("old-1").waiting_for == WaitingFor(NEW.name, OTHER_CARD)


def test_a_job_whose_worker_lives_waits_for_nothing_but_its_turn(
    queue: JobQueue, redis: Client
) -> None:
    set_aside(queue, "old-1", "old-2")
    Roster(redis, ttl_s=60).serve(OLD.hash)

    job = queue.get("old-2")
    assert (job.waiting_for, job.position) == (None, 1)


def test_a_job_that_waits_in_its_queue_waits_for_no_model(queue: JobQueue) -> None:
    queue.submit(make_request())

    assert queue.get("job-1").waiting_for is None


def test_jobs_for_another_card_are_no_backlog_of_this_fleet(queue: JobQueue, redis: Client) -> None:
    CardStore(redis).put(NEW)
    set_aside(queue, "old-1", "old-2")
    submit_old(queue, "old-3", priority=BATCH)
    claim_new(queue)
    queue.submit(make_request("new-1"))

    backlog = read_backlog(redis)
    assert (backlog.waiting, backlog.waiting_tokens) == (1, make_request().cost_tokens)
    assert backlog.set_aside == {"old": 3}
    assert backlog.oldest_s < 5


def test_jobs_for_the_card_of_the_fleet_are_its_backlog(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "old-1", "old-2")
    CardStore(redis).put(OLD)
    redis.zincrby(keys.line(keys.aside(QUEUE, OLD.hash)), -60, "old-2")

    backlog = read_backlog(redis)
    assert (backlog.waiting, backlog.set_aside) == (2, {})
    assert backlog.waiting_tokens == 2 * make_request().cost_tokens
    assert 60 <= backlog.oldest_s < 70


def test_a_deadline_is_not_refused_for_jobs_of_another_card(queue: JobQueue, redis: Client) -> None:
    set_aside(queue, "old-1", "old-2", max_tokens=200)
    redis.hset(keys.PACE, "full_since", 0)
    slow = Pace(slots=1, tokens_per_s=10.0, prefill_s=0.0, decode_s=0.0)

    assert queue.submit_all([make_request("new-1", deadline_s=5)], pace=slow)
