from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import pytest

from headrace.loadtest.assertions import Assertion, failures
from headrace.loadtest.repeats import RepeatedLevel, over_runs, repeated_levels
from headrace.loadtest.result import Result
from headrace.loadtest.values import Name, Value
from tests.load import closed
from tests.unit.loadtest.making import a_failure, a_result, one_after_another

P50 = Name("e2e", 50)


def runs(*e2e_s: float, load: int = 1) -> list[Result]:
    """One run each, in which all answers take as long."""
    return [
        replace(a_result(one_after_another(20, each), load=closed(load)), run=number)
        for number, each in enumerate(e2e_s, 1)
    ]


def value(results: list[Result]) -> Value:
    [level] = repeated_levels(results)
    found = level.value(P50)
    assert found is not None
    return found


def test_runs_of_a_level_come_together_in_the_order_of_the_first_run() -> None:
    one, four = runs(1.0, 1.1), runs(2.0, 2.1, load=4)
    levels = repeated_levels([one[0], four[0], one[1], four[1]])
    assert [(level.label, len(level.runs)) for level in levels] == [("1", 2), ("4", 2)]
    assert levels[1].firsts == one


def test_a_level_that_ran_once_has_the_interval_of_its_requests() -> None:
    [level] = repeated_levels(runs(1.0))
    assert level.value(P50) == Value(1.0, 1.0, 1.0)


def test_the_median_of_the_runs_has_students_interval() -> None:
    """By hand: t(0.975, 2) = 4.303, the standard deviation of 1.0, 1.1, 1.3 is 0.15275."""
    found = value(runs(1.0, 1.3, 1.1))
    reach = 4.303 * 1.2533 * 0.15275 / 3**0.5
    assert found.value == pytest.approx(1.1)
    assert (found.low, found.high) == pytest.approx((1.1 - reach, 1.1 + reach), abs=1e-3)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_the_interval_holds_the_true_median_in_95_of_100_tests(count: int) -> None:
    draw = random.Random(count)
    hits = tries = 1000
    for _try in range(tries):
        drawn = [1 + 0.02 * draw.gauss() for _run in range(count)]
        found = over_runs([Value(each) for each in drawn])
        assert found.value == pytest.approx(median(drawn))
        assert found.low is not None and found.high is not None
        hits -= not found.low <= 1 <= found.high
    assert hits / tries >= 0.93


def test_a_share_is_never_more_than_one() -> None:
    [level] = repeated_levels(runs(1.0, 1.3, 1.6))
    found = level.value(Name("goodput", None, "slo"))
    assert found is not None and found.high is not None
    assert (found.value, found.high <= 1) == (1.0, True)


def test_runs_that_are_not_valid_do_not_count_and_half_of_them_are_too_many() -> None:
    broken = replace(a_result([a_failure(float(each)) for each in range(20)]), run=3)
    good = runs(1.0, 1.2)
    [level] = repeated_levels([*good, broken])
    assert (level.problems, len(level.valid_runs)) == ((), 2)
    assert value([*good, broken]).value == pytest.approx(1.1)
    [worse] = repeated_levels([good[0], replace(broken, run=2)])
    assert worse.problems[0] == "1 of 2 runs are not valid"
    assert worse.problems[1].startswith("run 2: complete: none of 20")


def test_an_assertion_is_about_the_median_or_an_end_of_its_interval() -> None:
    results = runs(1.0, 1.3, 1.1)
    assert failures([Assertion.parse("p50<1.2"), Assertion.parse("p50.high<1.6")], results) == []
    [failure] = failures([Assertion.parse("p50.high<1.2")], results)
    assert failure.reason == "measured 1.1 [0.6244 1.576], the median of 3 runs"


def test_the_end_of_an_interval_that_there_is_not_holds_nothing() -> None:
    [failure] = failures([Assertion.parse("throughput.low>0.1")], runs(1.0))
    assert failure.reason == "has no interval: --repeat the level"


def test_a_run_that_was_interrupted_leaves_the_others() -> None:
    one, four = runs(1.0, 1.1), runs(2.0, load=4)
    levels: list[RepeatedLevel] = list(repeated_levels([one[0], four[0], one[1]]))
    assert [len(level.runs) for level in levels] == [2, 1]
