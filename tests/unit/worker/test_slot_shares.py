"""Which priority gets which part of a worker's room."""

from __future__ import annotations

import math

import pytest

from headrace.core.jobs.handover import Claim
from headrace.core.types import NO_ROOM, Delta, Priority, Room
from tests.fakes import make_request
from worker.running import PROGRESS_TOKENS, Running
from worker.slot_shares import SlotShares

CAPACITY = Room(slots=8, tokens=80)
COST = make_request().cost_tokens
BATCH, DEFAULT, INTERACTIVE = Priority.BATCH, Priority.DEFAULT, Priority.INTERACTIVE


def run(
    name: str, priority: Priority = DEFAULT, new: int = 0, before: int = 0, preemptions: int = 0
) -> Running:
    """A job with `new` tokens of this attempt behind those of earlier ones."""
    request = make_request(name, priority=priority)
    published = tuple(range(before))
    claim = Claim(name, "e", 1, request, published_ids=published, preemptions=preemptions)
    job = Running(claim, request, "worker-1", now=0.0)
    job.absorb(Delta(name, tuple(range(new))), rows=1, now=0.0)
    return job


def shares(slots: int = 8, share: float = 0.25, may_preempt: bool = True) -> SlotShares:
    return SlotShares(Room(slots, 10 * slots), share, may_preempt)


def names(jobs: list[Running]) -> list[str]:
    return [job.claim.job_id for job in jobs]


def test_batch_jobs_yield_before_default_jobs_and_the_cheapest_first() -> None:
    running = [run("d5", new=5), run("d1", new=1), run("b9", BATCH, new=9), run("b2", BATCH, new=2)]

    assert names(shares(share=0).yielding(running)) == ["b2", "b9", "d1", "d5"]


def test_interactive_jobs_never_yield() -> None:
    assert shares(share=0).yielding([run("now", INTERACTIVE)]) == []


def test_a_guaranteed_share_stays_with_the_jobs_that_cost_most_to_run_again() -> None:
    running = [run(f"d{count}", new=count) for count in (3, 1, 2, 4)]

    assert names(shares().yielding(running)) == ["d1", "d2"]


def test_what_yields_is_offered_to_interactive_jobs() -> None:
    running = [run(f"d{count}", new=count) for count in (3, 1, 2)]

    assert shares().precedence(running).yielded == Room(1, COST)


def test_no_job_yields_in_a_closed_batch() -> None:
    running = [run(str(number)) for number in range(8)]

    assert shares(may_preempt=False).precedence(running).yielded == NO_ROOM


@pytest.mark.parametrize(
    ("new", "before", "preemptions", "may_yield"),
    [
        (0, 0, 0, True),
        (0, 50, 0, True),  # a worker died of something else
        (PROGRESS_TOKENS - 1, 50, 1, False),
        (PROGRESS_TOKENS, 50, 1, True),
        (2 * PROGRESS_TOKENS, 50, 3, False),
        (3 * PROGRESS_TOKENS, 50, 3, True),
    ],
)
def test_a_job_yields_again_only_after_progress(
    new: int, before: int, preemptions: int, may_yield: bool
) -> None:
    assert run("d", DEFAULT, new, before, preemptions).may_yield is may_yield


def test_a_job_that_may_not_yield_counts_for_the_guaranteed_share() -> None:
    running = [run("again", preemptions=1), run("d1", new=1), run("d2", new=2)]

    assert names(shares().yielding(running)) == ["d1"]


def test_a_priority_is_owed_what_it_does_not_hold() -> None:
    precedence = shares().precedence([run("d"), run("now", INTERACTIVE)])

    assert precedence.default == Room(1, 20 - COST)
    assert precedence.batch == Room(2, 20)


def test_a_priority_that_holds_more_is_owed_nothing() -> None:
    assert shares().precedence([run(str(number)) for number in range(5)]).default == NO_ROOM


@pytest.mark.parametrize("slots", range(1, 65))
@pytest.mark.parametrize("share", [0.0, 0.05, 0.125, 0.25])
def test_interactive_work_keeps_half_of_any_worker(slots: int, share: float) -> None:
    precedence = shares(slots, share).precedence([])
    guaranteed = precedence.default.slots + precedence.batch.slots

    assert guaranteed <= slots / 2
    if slots >= 4 and share:
        assert precedence.default.slots >= min(math.floor(slots * share), slots // 4) > -1
        assert precedence.batch.slots >= 1


def test_a_small_worker_takes_a_job_for_every_few_that_went_before() -> None:
    small = shares(slots=1)
    small.claimed([INTERACTIVE] * 3)
    assert small.precedence([]).default == NO_ROOM or small.precedence([]).default.slots == 0
    small.claimed([INTERACTIVE])
    assert small.precedence([]).default.slots == small.precedence([]).batch.slots == 1

    small.claimed([DEFAULT])
    assert small.precedence([]).default.slots == 0
    assert small.precedence([]).batch.slots == 1


def test_victims_leave_the_missing_room_and_no_more() -> None:
    running = [run(f"b{count}", BATCH, new=count) for count in range(6)]
    strict = shares(share=0)

    assert strict.victims(running, Room(-1, -5)) == []
    assert names(strict.victims(running, Room(2, 0))) == ["b0", "b1"]
    assert names(strict.victims(running, Room(0, 2 * COST + 1))) == ["b0", "b1", "b2"]


# -- answers that outgrow the cache ----------------------------------------------------------------


def grow(name: str, made: int, priority: Priority = DEFAULT, expected: int = 10) -> Running:
    request = make_request(name, priority=priority, max_tokens=500, expected_tokens=expected)
    job = Running(Claim(name, "e", 1, request), request, "worker-1", now=0.0)
    job.absorb(Delta(name, tuple(range(made))), rows=1, now=0.0)
    return job


def test_jobs_without_a_limit_make_room_where_the_cache_runs_short() -> None:
    running = [grow("d9", 90), grow("b5", 50, BATCH), grow("d2", 20), run("limited", new=3)]

    assert names(shares().overflow(running, 1)) == ["b5"]
    assert names(shares().overflow(running, 150)) == ["b5", "d2"]
    assert names(shares().overflow(running, 0)) == []


def test_the_last_job_that_runs_makes_room_for_nobody() -> None:
    assert names(shares().overflow([grow("a", 90), grow("b", 95)], 10_000)) == ["a"]
    assert shares().overflow([grow("a", 90)], 10_000) == []
