"""Properties S1 to S11 of the policy that do not need a real fleet, on fake time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil, inf, log2, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.step_sums import StepSums
from scaler.memory import Memory
from scaler.policy import LAWS, decide
from scaler.readings import Load, Readings, Unknown
from scaler.rules import PolicyName, Rules
from tests.unit.scaler.fleets import JOB_TOKENS, TICK_S, TOKENS_S, WaterFleet, workers_for

RULES = Rules(min_workers=1, max_workers=40)
WINDOW_S = 200.0
"""Longer than any window of shrinking here."""


def at_load(workers: float, **changes: object) -> WaterFleet:
    """A fleet that has met this load, in workers, for a while."""
    fleet = WaterFleet(replace(RULES, **changes))  # type: ignore[arg-type]
    fleet.run(300, rate=workers * TOKENS_S)
    return fleet


def test_a_constant_load_gets_the_workers_that_its_rate_needs() -> None:
    fleet = at_load(5)

    assert workers_for(fleet.rate, RULES.up_share) <= fleet.size
    assert fleet.size <= workers_for(fleet.rate, RULES.down_share) + 1


@given(st.floats(0.1, 20.0))
@settings(max_examples=20, deadline=None)
def test_a_constant_load_never_turns_the_fleet_around(workers: float) -> None:
    fleet = at_load(workers)
    before = len(fleet.sizes)
    fleet.run(600)

    assert len(set(fleet.sizes[before:])) <= 2
    directions = [after > now for now, after in pairwise(fleet.sizes[before:]) if after != now]
    assert len(set(directions)) <= 1


@pytest.mark.parametrize("ratio", [2, 4, 10])
@pytest.mark.parametrize("cold_s", [5.0, 30.0])
def test_a_step_is_met_in_time(ratio: int, cold_s: float) -> None:
    fleet = at_load(1.0)
    fleet.cold_s = cold_s
    needed = ceil(ratio)
    fleet.run(
        cold_s + 2 * TICK_S + RULES.growth_s * ceil(log2(ratio)) + 2 * TICK_S,
        rate=ratio * TOKENS_S,
    )

    assert sum(tap.ready_at <= fleet.now for tap in fleet.taps) >= needed


def test_a_load_that_goes_is_followed_only_after_the_window() -> None:
    fleet = at_load(8)
    size = fleet.size

    fleet.run(RULES.down_window_s - 20, rate=TOKENS_S)
    assert fleet.size == size

    fleet.run(300)
    assert fleet.size == workers_for(TOKENS_S, RULES.down_share)


def test_a_fleet_halves_at_most() -> None:
    fleet = at_load(16)
    fleet.run(600, rate=0.5 * TOKENS_S)

    for before, after in pairwise(fleet.sizes):
        assert after >= before - max(1, before // 2)


@pytest.mark.parametrize("policy", LAWS)
def test_the_unknown_holds_and_never_shrinks(policy: PolicyName) -> None:
    fleet = at_load(6, policy=policy)
    size = fleet.size

    decisions = [fleet.tick(Unknown("Redis does not answer")) for _tick in range(300)]

    assert all(decision.holds and decision.size == size for decision in decisions)
    assert "Redis does not answer" in decisions[0].reason


@pytest.mark.parametrize("number", [nan, inf, -1.0])
@pytest.mark.parametrize("field", ["at", "oldest_wait_s", "produced", "p95_s"])
def test_what_is_no_number_holds(field: str, number: float) -> None:
    fleet = at_load(6)
    size = fleet.size

    decision = fleet.tick(replace(fleet.reading(), **{field: number}))

    assert decision.holds
    assert decision.size == size
    assert not fleet.tick().holds


def test_loads_that_are_no_numbers_hold() -> None:
    fleet = at_load(6)
    for name in ("waiting", "running", "arrived", "completed"):
        assert fleet.tick(replace(fleet.reading(), **{name: Load(1, nan)})).holds


def test_old_readings_hold() -> None:
    fleet = at_load(6)
    reading = fleet.reading()
    fleet.now += 60

    decision, _memory = decide(fleet.rules, fleet.memory, reading, fleet.now)

    assert decision.holds
    assert "old" in decision.reason


def test_the_same_reading_twice_holds() -> None:
    fleet = at_load(6)

    decision, _memory = decide(fleet.rules, fleet.memory, fleet.reading(), fleet.now)

    assert decision.holds


def test_an_emptied_redis_is_unknown_and_the_window_begins_anew() -> None:
    fleet = at_load(6)
    size = fleet.size
    fleet.rate = fleet.arrived = fleet.done = fleet.waiting = 0.0
    fleet.steps = StepSums()

    assert fleet.tick().holds
    fleet.run(RULES.down_window_s - 10)
    assert fleet.size == size
    fleet.run(WINDOW_S)
    assert fleet.size < size


def test_another_run_of_redis_is_unknown() -> None:
    fleet = at_load(6)

    decision = fleet.tick(replace(fleet.reading(), run_id="another"))

    assert decision.holds
    assert decision.size == fleet.size


def test_a_restarted_scaler_does_not_shrink_before_its_window_is_full() -> None:
    fleet = at_load(10)
    size = fleet.size
    fleet.memory = Memory(size=size)

    fleet.run(RULES.down_window_s - 4, rate=0.5 * TOKENS_S)
    assert fleet.size == size
    fleet.run(WINDOW_S)
    assert fleet.size < size


def test_a_restarted_scaler_shrinks_an_idle_fleet_whose_speed_it_never_saw() -> None:
    fleet = WaterFleet(RULES, memory=Memory(size=4))
    assert fleet.run(20).size == 4
    assert fleet.run(2 * WINDOW_S).size == 1


def test_after_a_gap_the_window_begins_anew() -> None:
    fleet = at_load(10)
    size = fleet.size
    fleet.rate = 0.5 * TOKENS_S
    for _tick in range(60):
        fleet.tick(Unknown("away"))

    fleet.run(RULES.down_window_s - 10)

    assert fleet.size == size


def test_a_crash_loop_ends_growth_and_says_so() -> None:
    fleet = at_load(2)
    size = fleet.size
    fleet.rate = 20 * TOKENS_S
    for _tick in range(20):
        fleet.flow()
        deaths = (fleet.now - 3, fleet.now - 2, fleet.now - 1)
        decision, fleet.memory = decide(
            fleet.rules, fleet.memory, replace(fleet.reading(), deaths=deaths), fleet.now
        )
        assert decision.crash_loop
        assert decision.size == size
    assert "die" in decision.reason


def test_old_deaths_are_forgiven() -> None:
    fleet = at_load(2)
    fleet.rate = 20 * TOKENS_S
    fleet.run(10)
    deaths = (fleet.now - 400,) * 5

    fleet.flow()
    decision, _memory = decide(
        fleet.rules, fleet.memory, replace(fleet.reading(), deaths=deaths), fleet.now
    )

    assert not decision.crash_loop


def test_a_first_worker_is_woken_without_delay() -> None:
    fleet = WaterFleet(Rules(min_workers=0, max_workers=4))
    fleet.run(60)
    assert fleet.size == 0

    fleet.run(TICK_S, rate=TOKENS_S)

    assert fleet.size >= 1


def test_zero_workers_only_after_a_long_silence() -> None:
    fleet = at_load(2, min_workers=0)
    fleet.waiting = 0.0

    fleet.run(RULES.idle_s - 20, rate=0.0)
    assert fleet.size == 1
    fleet.run(60)
    assert fleet.size == 0


def test_zero_workers_only_where_asked_for() -> None:
    fleet = at_load(2)
    fleet.run(1000, rate=0.0)

    assert fleet.size == 1


def test_an_slo_that_no_step_can_keep_is_said() -> None:
    fleet = at_load(3, slo_tpot_s=0.001)

    decision = fleet.tick()

    assert decision.slo_infeasible
    assert decision.size >= 3


@pytest.mark.parametrize("ratio", [3, 10])
@pytest.mark.parametrize("cold_s", [5.0, 30.0, 120.0, 300.0])
def test_a_step_is_overshot_by_a_fifth_and_one_at_most(ratio: int, cold_s: float) -> None:
    fleet = WaterFleet(RULES, cold_s=cold_s)
    fleet.run(300, rate=TOKENS_S)
    clear_s = max(RULES.clear_s, cold_s)
    before = len(fleet.sizes)
    most_waiting = 0.0
    fleet.rate = ratio * TOKENS_S
    for _tick in range(int(900 / TICK_S)):
        fleet.tick()
        most_waiting = max(most_waiting, fleet.waiting)

    for_rate = 1.2 * workers_for(fleet.rate, RULES.down_share) + 1
    for_backlog = workers_for(most_waiting / clear_s, 1.0)
    assert max(fleet.sizes[before:]) <= max(for_rate, for_backlog)


def test_a_backlog_alone_is_cleared_within_a_minute() -> None:
    fleet = at_load(1)
    fleet.waiting = 10 * RULES.clear_s * TOKENS_S
    fleet.run(fleet.cold_s + RULES.clear_s + 20)

    assert fleet.waiting == 0.0
    assert max(fleet.sizes) <= 13


def test_starting_workers_count_so_that_nothing_cascades() -> None:
    fleet = at_load(1)
    fleet.cold_s = 120.0
    fleet.run(20, rate=3 * TOKENS_S)
    asked = fleet.size
    fleet.run(40)

    assert fleet.size <= max(asked * 2, asked + 8)


readings = st.builds(
    Readings,
    at=st.floats(1, 1e6),
    run_id=st.sampled_from(["a", "b"]),
    waiting=st.builds(Load, st.integers(0, 10_000), st.floats(0, 1e7)),
    running=st.builds(Load, st.integers(0, 1000), st.floats(0, 1e6)),
    oldest_wait_s=st.floats(0, 1e4),
    arrived=st.builds(Load, st.integers(0, 10_000), st.floats(0, 1e7)),
    completed=st.builds(Load, st.integers(0, 10_000), st.floats(0, 1e7)),
    steps=st.just(WaterFleet(RULES).reading().steps),
    p95_s=st.none() | st.floats(0, 1e3),
    members=st.just(()),
    deaths=st.lists(st.floats(0, 1e6), max_size=5).map(tuple),
)
anything = readings | st.just(Unknown("away"))


@given(st.sampled_from(list(LAWS)), st.integers(0, 3), st.integers(0, 20), st.lists(anything))
@settings(deadline=None)
def test_the_size_stays_within_its_bounds(
    policy: PolicyName, least: int, more: int, course: list[Readings | Unknown]
) -> None:
    rules = Rules(policy=policy, min_workers=least, max_workers=least + more + 1)
    memory = Memory()
    for reading in course:
        now = reading.at if isinstance(reading, Readings) else 0.0
        decision, memory = decide(rules, memory, reading, now)
        assert rules.min_workers <= decision.size <= rules.max_workers


@given(st.lists(anything, max_size=10))
@settings(deadline=None)
def test_the_same_course_gives_the_same_decisions(course: list[Readings | Unknown]) -> None:
    def run() -> list[tuple[object, object]]:
        memory, results = Memory(), []
        for reading in course:
            decision, memory = decide(RULES, memory, reading, getattr(reading, "at", 0.0))
            results.append((decision, memory))
        return results

    assert run() == run()


@pytest.mark.parametrize("policy", ["backlog-slo", "queue-depth"])
@given(workers=st.floats(0.5, 10), fewer=st.integers(0, 2000), more=st.integers(0, 2000))
@settings(max_examples=30, deadline=None)
def test_more_backlog_never_means_fewer_workers(
    policy: PolicyName, workers: float, fewer: int, more: int
) -> None:
    fleet = WaterFleet(replace(RULES, policy=policy))
    fleet.run(100, rate=workers * TOKENS_S)
    fleet.flow()
    sizes = []
    for jobs in (fewer, fewer + more):
        waiting = Load(jobs, jobs * JOB_TOKENS)
        reading = replace(fleet.reading(), waiting=waiting, oldest_wait_s=1.0 if jobs else 0.0)
        decision, _memory = decide(fleet.rules, fleet.memory, reading, fleet.now)
        sizes.append(decision.size)

    assert sizes[0] <= sizes[1]


def test_the_monitors_own_jobs_keep_no_fleet_awake() -> None:
    fleet = at_load(2, min_workers=0)
    fleet.waiting, fleet.rate = 0.0, 0.0
    for _tick in range(int((RULES.idle_s + 60) / TICK_S)):
        fleet.flow()
        reading = replace(fleet.reading(), running=Load(1, 2.0), canaries=1)
        decision, fleet.memory = decide(fleet.rules, fleet.memory, reading, fleet.now)
        fleet.resize(decision.size)

    assert fleet.size == 0
