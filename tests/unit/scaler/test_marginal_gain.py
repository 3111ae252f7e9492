"""What the policy makes of a machine that workers share."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.gain import FLOOD_S
from scaler.mind import SHARES_MACHINE
from scaler.rules import Rules
from tests.unit.scaler.fleets import TICK_S, TOKENS_S, WaterFleet

RULES = Rules(min_workers=1, max_workers=40)


def at_load(workers: float) -> WaterFleet:
    """A fleet that has met this load, in workers, for a while."""
    fleet = WaterFleet(RULES)
    fleet.run(300, rate=workers * TOKENS_S)
    return fleet


def test_workers_that_bring_nothing_are_taken_back() -> None:
    """All share one machine: the throughput stays, however many there are."""
    fleet = at_load(0.5)
    fleet.machine = 1.0
    fleet.run(120, rate=4 * TOKENS_S)

    decision = fleet.tick()
    assert decision.is_limited
    assert decision.reason.startswith("more workers than 1 raised the throughput too little")
    assert fleet.size == 1
    fleet.run(RULES.gain_s - 120)
    assert fleet.size == 1
    fleet.run(120)
    assert max(fleet.sizes[-60:]) > 1


def test_a_machine_for_two_keeps_two() -> None:
    fleet = at_load(0.5)
    fleet.machine = 2.0
    fleet.run(120, rate=20 * TOKENS_S)

    assert fleet.tick().is_limited
    assert fleet.size == 2


@given(st.lists(st.floats(0.2, 12), min_size=2, max_size=6))
@settings(max_examples=20, deadline=None)
def test_workers_with_machines_of_their_own_are_never_limited(loads: list[float]) -> None:
    fleet = at_load(1)
    for load in loads:
        assert not fleet.run(60, rate=load * TOKENS_S).is_limited
        assert fleet.memory.gain.limit is None


def test_a_burst_on_a_fresh_fleet_of_one_machine_finds_that_more_do_not_help() -> None:
    """The first steps are waited for: with nothing to compare the guard could never say so."""
    fleet = WaterFleet(replace(RULES, **SHARES_MACHINE), machine=0.5, cold_s=4.0)
    fleet.run(4)
    decision = fleet.run(FLOOD_S, rate=4 * TOKENS_S)
    assert "first steps" in decision.reason
    assert fleet.size == 1
    fleet.run(12)
    assert fleet.size > 1
    fleet.run(100)

    assert fleet.tick().is_limited
    assert fleet.size == 1


def test_growth_does_not_wait_for_steps_that_never_come() -> None:
    fleet = WaterFleet(replace(RULES, pace_ticks=4), machine=0.0001)
    fleet.run(2 * TICK_S, rate=40 * TOKENS_S)
    assert fleet.size == 1
    fleet.run(4 * TICK_S)

    assert fleet.size > 1
