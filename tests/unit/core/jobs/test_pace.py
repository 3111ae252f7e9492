"""How fast the fleet is said to be, and what follows for a job that waits."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Claim
from headrace.core.jobs.job import Report
from headrace.core.jobs.pace import FRESH_S, UNKNOWN, UNSEEN_TOKENS, Pace, PaceMeter, Place
from headrace.core.jobs.queue import JobQueue
from headrace.core.roster import Activity, Roster, WorkerState
from headrace.core.types import EngineStats, Priority, Room
from tests.fakes import FakeClock, make_request
from tests.unit.core.jobs.steps import claim_one, publish, succeed

REQUEST = make_request()  # 5 prompt tokens, 4 output tokens
PACE = Pace(slots=2, tokens_per_s=9.0, prefill_s=0.1, decode_s=0.25)
SERVICE_S = 5 * 0.1 + 4 * 0.25


def read_pace(redis: Client) -> Pace:
    return PaceMeter(redis, Roster(redis, ttl_s=60)).current()


def claim_of_two(queue: JobQueue) -> Claim:
    """One of two jobs, for which alone there is room."""
    queue.submit(make_request("a"))
    queue.submit(make_request("b"))
    (claim,) = queue.claim("worker-1", Room(slots=1, tokens=1000)).claims
    return claim


# -- what is measured ------------------------------------------------------------------------------


def test_nothing_is_known_of_a_fleet_that_has_ended_nothing(redis: Client) -> None:
    assert read_pace(redis) == UNKNOWN


def test_a_full_fleet_is_as_fast_as_what_it_ends(queue: JobQueue, redis: Client) -> None:
    claim = claim_of_two(queue)
    redis.hincrbyfloat(keys.PACE, "full_since", -10)
    succeed(queue, claim)

    assert read_pace(redis).tokens_per_s == pytest.approx(0.9, rel=0.05)


def test_what_ended_lately_counts_more(queue: JobQueue, redis: Client) -> None:
    claim = claim_of_two(queue)
    redis.hset(keys.PACE, mapping={"tokens": 9_000, "seconds": 10})  # 900 tokens/s, once
    redis.hincrbyfloat(keys.PACE, "full_since", -30)
    succeed(queue, claim)

    assert 9 < (read_pace(redis).tokens_per_s or 0.0) < 900 / 2


def test_a_fleet_that_has_nothing_to_do_is_not_slow(queue: JobQueue, redis: Client) -> None:
    queue.submit(REQUEST)
    succeed(queue, claim_one(queue))

    assert read_pace(redis).tokens_per_s is None


def test_a_fleet_that_was_full_for_a_moment_is_not_measured_yet(
    queue: JobQueue, redis: Client
) -> None:
    succeed(queue, claim_of_two(queue))

    assert read_pace(redis).tokens_per_s is None


def test_a_claim_that_leaves_nothing_ends_the_full_time(queue: JobQueue, redis: Client) -> None:
    claim_of_two(queue)
    assert redis.hexists(keys.PACE, "full_since")

    claim_one(queue)
    assert not redis.hexists(keys.PACE, "full_since")


def test_tokens_are_as_slow_as_they_were_in_what_succeeded(queue: JobQueue, redis: Client) -> None:
    queue.submit(REQUEST)
    claim = claim_one(queue)
    publish(queue, claim, [1], 1)
    redis.hincrbyfloat("rq:job:job-1", "hr_claimed", -1.5)
    redis.hincrbyfloat("rq:job:job-1", "hr_first_token", -1.0)
    succeed(queue, claim, report=Report(prompt_tokens=5), count=2, token_ids=[2], text="y")

    pace = read_pace(redis)
    assert pace.prefill_s == pytest.approx(0.5 / 5, rel=0.1)
    assert pace.decode_s == pytest.approx(1.0 / 4, rel=0.1)  # of 4 allowed tokens it made 2


def test_a_job_that_nobody_ran_says_nothing(queue: JobQueue, redis: Client) -> None:
    queue.submit(REQUEST)
    queue.cancel("job-1")

    assert redis.hgetall(keys.PACE) == {}


def test_a_pace_that_cannot_be_kept_undoes_no_end(queue: JobQueue, redis: Client) -> None:
    queue.submit(REQUEST)
    claim = claim_one(queue)
    redis.set(keys.PACE, "somebody else's")

    assert succeed(queue, claim)


@pytest.mark.parametrize(("activity", "slots"), [("ready", 32), ("draining", 0)])
def test_only_workers_that_take_jobs_have_slots(
    redis: Client, activity: Activity, slots: int
) -> None:
    beat = WorkerState("w", activity, os.getpid(), "SimulatedEngine", EngineStats(slots=32))
    Roster(redis, ttl_s=60).beat(beat)

    assert read_pace(redis).slots == slots


def test_a_pace_is_read_once_a_second(redis: Client) -> None:
    clock = FakeClock()
    meter = PaceMeter(redis, Roster(redis, ttl_s=60), clock)
    assert meter.current().tokens_per_s is None
    redis.hset(keys.PACE, mapping={"tokens": 90, "seconds": 10})

    assert meter.current().tokens_per_s is None
    clock.sleep(FRESH_S)
    assert meter.current().tokens_per_s == 9.0


# -- what follows from it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "wait_s"),
    [
        (Place(jobs=0, tokens=0, running=0, is_full=False), 0.0),  # a slot is free
        (Place(jobs=1, tokens=9, running=0, is_full=False), 0.0),  # and another
        (Place(jobs=2, tokens=18, running=0, is_full=False), 1.0),  # the first of two has to end
        (Place(jobs=0, tokens=0, running=2, is_full=False), 1.0),  # one that runs has to end
        (Place(jobs=0, tokens=0, running=2, is_full=True), 1.0),
        (Place(jobs=9, tokens=81, running=2, is_full=True), 10.0),
        (Place(jobs=9, tokens=171, running=2, is_full=True), 20.0),  # larger ones
        (
            Place(jobs=9, tokens=81, running=1, is_full=True),
            10.0,
        ),  # its cache is full, not its slots
    ],
)
def test_a_job_waits_until_what_goes_before_it_has_left_a_slot(place: Place, wait_s: float) -> None:
    assert PACE.eta_s(REQUEST, place) == pytest.approx(wait_s + SERVICE_S)


@pytest.mark.parametrize(
    ("ahead", "interactive", "wait_s"), [(0, 0, 0.0), (0, 1, 0.0), (1, 0, 0.0), (0, 2, 1.0)]
)
def test_an_interactive_job_waits_for_interactive_ones_alone(
    ahead: int, interactive: int, wait_s: float
) -> None:
    pace = replace(PACE, interactive=interactive)
    request = make_request(priority=Priority.INTERACTIVE)
    full = Place(jobs=ahead, tokens=9 * ahead, running=2, is_full=True)

    assert pace.eta_s(request, full) == pytest.approx(wait_s + SERVICE_S)


@pytest.mark.parametrize(
    ("ranks", "jobs", "tokens"),
    [
        ((3, None, None), 3, 30),
        ((None, 3, None), 5 + 3, 50 + 30),  # strict order is sooner than its share
        ((None, 20, None), 5 + 20, 50 + 200),
        ((None, None, 0), 7, 80),  # every eighth job is of its priority
        ((None, None, 10), 87, 880),
    ],
)
def test_no_more_goes_before_a_job_than_its_share_lets_pass(
    ranks: tuple[int | None, ...], jobs: int, tokens: float
) -> None:
    queues = [(5, 50.0), (1000, 10_000.0), (100, 1000.0)]

    assert Place.of(ranks, queues, 2, True, 0.125) == Place(jobs, tokens, 2, True)


BUSY = Place(jobs=9, tokens=81, running=2, is_full=True)


@pytest.mark.parametrize(
    "pace",
    [
        UNKNOWN,
        Pace(slots=2, tokens_per_s=9.0),
        Pace(slots=2, prefill_s=0.1, decode_s=0.25),
        Pace(slots=0, tokens_per_s=9.0, prefill_s=0.1, decode_s=0.25),
    ],
)
def test_an_eta_is_never_invented(pace: Pace) -> None:
    assert pace.eta_s(REQUEST, BUSY) is None


def test_where_a_slot_is_free_no_rate_is_needed() -> None:
    pace = Pace(slots=2, prefill_s=0.1, decode_s=0.25)

    assert pace.eta_s(REQUEST, Place(0, 0, 1, False)) == pytest.approx(SERVICE_S)


def test_a_deadline_leaves_room_for_as_many_tokens_as_can_end_in_its_time() -> None:
    most = PACE.most_before(make_request(deadline_s=11.5))
    assert most == pytest.approx(81)
    assert PACE.eta_s(REQUEST, BUSY) == pytest.approx(11.5)

    assert PACE.most_before(make_request(deadline_s=0.1)) == 0.0


@pytest.mark.parametrize("pace", [UNKNOWN, Pace(slots=2, prefill_s=0.1, decode_s=0.25)])
def test_no_deadline_is_too_short_for_a_fleet_that_nobody_measured(pace: Pace) -> None:
    assert pace.most_before(make_request(deadline_s=0.1)) is None


@pytest.mark.parametrize(
    ("pace", "tokens", "retry_after_s"),
    [(PACE, 91, 11), (PACE, 1, 1), (PACE, 1e9, 600), (UNKNOWN, 1e9, 1)],
)
def test_a_retry_is_due_when_so_much_has_left(
    pace: Pace, tokens: float, retry_after_s: int
) -> None:
    assert pace.retry_after_s(tokens) == retry_after_s


def test_a_retry_waits_for_those_who_were_refused_before() -> None:
    assert PACE.retry_after_s(91, owed_s=20.0) == 31


SPEEDS = st.none() | st.floats(0, 1e6)


@given(
    st.builds(
        Pace,
        slots=st.integers(0, 100),
        interactive=st.integers(0, 200),
        tokens_per_s=SPEEDS,
        prefill_s=SPEEDS,
        decode_s=SPEEDS,
    ),
    st.builds(Place, st.integers(0, 10**6), st.floats(0, 1e9), st.integers(0, 200), st.booleans()),
    st.floats(0, 1e12),
)
def test_whatever_was_measured_no_time_is_negative(pace: Pace, place: Place, tokens: float) -> None:
    assert 1 <= pace.retry_after_s(tokens) <= 600
    for deadline_s in (None, 5.0):
        request = replace(REQUEST, deadline_s=deadline_s)
        eta_s, before = pace.eta_s(request, place), pace.most_before(request)
        assert eta_s is None or eta_s >= 0
        assert before is None or before >= 0


# -- answers without a limit -----------------------------------------------------------------------


def test_what_ends_without_a_limit_says_how_long_such_answers_are(
    queue: JobQueue, redis: Client
) -> None:
    assert UNKNOWN.expected_tokens(most=2000) == UNSEEN_TOKENS
    for name, made in (("a", 10), ("b", 30)):
        queue.submit(make_request(name, max_tokens=900, expected_tokens=256))
        claim = claim_one(queue)
        succeed(queue, claim, count=made)

    pace = read_pace(redis)
    assert pace.output_tokens == pytest.approx(20, rel=0.02)
    assert pace.expected_tokens(most=2000) in (20, 21)
    assert pace.expected_tokens(most=7) == 7


def test_what_ends_with_a_limit_says_nothing_of_those_without(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request())
    succeed(queue, claim_one(queue))

    assert read_pace(redis).output_tokens is None


def test_a_job_without_a_limit_waits_for_as_long_as_it_will_probably_take() -> None:
    open_ended = make_request(max_tokens=2000, expected_tokens=100)

    assert PACE.eta_s(open_ended, Place(0, 0, running=0, is_full=False)) == 5 * 0.1 + 100 * 0.25
    late = replace(open_ended, deadline_s=60.0)
    assert PACE.most_before(late) == (60 - 25.5) * 9.0 - 105
