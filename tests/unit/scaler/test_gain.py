"""Stretches of steps, compared by hand: 100 steps of 32 rows that take 0.1 s each, or longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.step_sums import StepSums
from scaler.gain import FLOOD_S, LATE_S, Gain
from scaler.rules import Rules
from tests.unit.scaler.fleets import mean_step

RULES = Rules()
BUSY = mean_step(0.1)
"""Of what went on meanwhile; too few steps to say anything."""


def steps(seconds: float, n: float = 100.0, **changes: float) -> StepSums:
    return replace(mean_step(seconds), **changes).times(n)


def at_work(ready: int) -> Gain:
    """Since some time before 0."""
    return Gain(ready, rested=False)


def stretches(*each: tuple[int, StepSums]) -> Gain:
    """Each of so many ready workers, as long as a stretch lasts."""
    at, gain = 0.0, at_work(each[0][0])
    for ready, taken in each:
        gain = gain.after(RULES, at, ready, BUSY)
        at += LATE_S + RULES.gain_watch_s
        gain = gain.after(RULES, at, ready, taken)
    return gain


def test_two_stretches_without_a_gain_are_a_limit() -> None:
    assert stretches((1, steps(0.1)), (2, steps(0.2))).limit is None
    assert stretches((1, steps(0.1)), (2, steps(0.2)), (2, steps(0.2))).limit == 1


def test_a_limit_is_the_number_that_the_machine_is_worth() -> None:
    assert stretches((1, steps(0.1)), (8, steps(0.28)), (8, steps(0.28))).limit is None
    assert stretches((1, steps(0.1)), (8, steps(0.32)), (8, steps(0.32))).limit == 2
    assert stretches((1, steps(0.1)), (8, steps(0.8)), (8, steps(0.8))).limit == 1


def test_a_gain_of_a_quarter_is_enough() -> None:
    assert stretches((4, steps(0.1)), (8, steps(0.155)), (8, steps(0.155))).limit is None
    assert stretches((4, steps(0.1)), (8, steps(0.165)), (8, steps(0.165))).limit == 5


def test_a_good_stretch_ends_the_doubt() -> None:
    gain = stretches((1, steps(0.1)), (2, steps(0.2)), (2, steps(0.1)), (2, steps(0.2)))

    assert (gain.limit, gain.doubts) == (None, 1)


@pytest.mark.parametrize(
    "before",
    [
        steps(0.1, n=19),
        steps(0.1, r=15.0, rr=230.0, rs=1.5),
        StepSums(),
    ],
    ids=["too few", "too few rows", "none"],
)
def test_what_does_not_compare_says_nothing(before: StepSums) -> None:
    assert stretches((1, before), (2, steps(0.4)), (2, steps(0.4))).limit is None


def test_long_prompts_are_not_held_against_a_pace_without_any() -> None:
    long = steps(0.4, p=500.0, pp=500.0**2, rp=500.0 * 32, ps=200.0)

    assert stretches((1, steps(0.1)), (2, long), (2, long)).limit is None


def test_a_pace_of_long_ago_is_not_compared_unless_the_rules_say_so() -> None:
    def later(rules: Rules) -> Gain:
        gain = at_work(1).after(rules, 20.0, 1, steps(0.1)).after(rules, 500.0, 2, BUSY)
        for at in (530.0, 550.0):
            gain = gain.after(rules, at, 2, steps(0.2))
        return gain

    assert later(RULES).limit is None
    assert later(replace(RULES, pace_s=1000.0)).limit == 1


def test_a_limit_is_forgotten_after_its_time() -> None:
    gain = stretches((1, steps(0.1)), (2, steps(0.2)), (2, steps(0.2)))

    assert gain.after(RULES, gain.until - 1, 1, StepSums()).limit == 1
    assert gain.after(RULES, gain.until, 1, StepSums()).limit is None


def test_steps_that_are_told_of_late_are_not_those_of_the_new_fleet() -> None:
    gain = at_work(1).after(RULES, 20.0, 1, steps(0.1)).after(RULES, 22.0, 2, steps(0.1))

    assert gain.after(RULES, 22.0 + LATE_S, 2, steps(0.1)).steps == StepSums()
    assert gain.after(RULES, 24.0 + LATE_S, 2, steps(0.2)).steps == steps(0.2)


def test_the_first_steps_of_a_flood_are_nobodys_pace() -> None:
    """While it is accepted, that takes the machine as well."""
    gain = Gain(1).after(RULES, 2.0, 1, steps(0.3)).after(RULES, 4.0, 1, steps(0.2))
    assert gain.steps == StepSums()
    assert gain.paces == ()

    gain = gain.after(RULES, 2.0 + FLOOD_S + 2.0, 1, steps(0.1))
    assert gain.steps == steps(0.1)
    assert len(gain.after(RULES, 40.0, 2, BUSY).paces) == 1


def test_steps_beside_workers_that_start_are_nobodys_pace() -> None:
    gain = at_work(1).after(RULES, 2.0, 1, steps(0.1)).after(RULES, 4.0, 1, steps(0.2), False)

    [pace] = gain.paces
    assert pace.curve.seconds(32, 0) == pytest.approx(0.1)
    assert gain.steps == StepSums()


def test_a_first_stretch_that_looked_good_is_not_the_last_word() -> None:
    good, poor = (2, steps(0.15)), (2, steps(0.2))

    assert stretches((1, steps(0.1)), good, good, poor).limit is None
    assert stretches((1, steps(0.1)), good, poor, poor).limit == 1


def test_of_several_smaller_fleets_the_nearest_is_compared() -> None:
    gain = stretches((1, steps(0.1)), (4, steps(0.1)), (6, steps(0.2)), (6, steps(0.2)))

    assert gain.limit == 4


def test_what_one_more_of_many_should_bring_is_less_than_chance() -> None:
    assert stretches((8, steps(0.1)), (9, steps(0.12)), (9, steps(0.12))).limit is None
