from __future__ import annotations

import random
from dataclasses import replace
from statistics import fmean, stdev

import pytest

from headrace.loadtest.metric import METRICS, Statistic
from headrace.loadtest.saved import SavedLevel
from tests.unit.loadtest.runs import SLO, a_level, a_run, answered

BY_NAME = {metric.name: metric for metric in METRICS}


def statistic(name: str, level: SavedLevel, rounds: int = 100) -> Statistic:
    found = BY_NAME[name].statistic([level], SLO, rounds)
    assert found is not None
    return found


def steady(count: int) -> SavedLevel:
    """One after another, the first three in the warm-up."""
    at_s = [0.5 * (number - 3) for number in range(count + 3)]
    level = a_level(answered(at_s, [0.5] * len(at_s)), users=1)
    return replace(level, window_s=0.5 * count)


def test_only_measured_requests_count() -> None:
    level = steady(20)
    warmed = replace(level.records, e2e_s=(9.0, 9.0, 9.0, *level.records.e2e_s[3:]))
    assert statistic("e2e.p50", replace(level, records=warmed)).value == 0.5


def test_throughput_is_that_of_answers_inside_the_window_whenever_asked() -> None:
    assert statistic("throughput", steady(20)).value == pytest.approx(2.0)
    cut = replace(steady(80), window_s=20.0)
    assert statistic("throughput", cut).value == pytest.approx(2.0)


def test_answers_in_step_are_as_many_a_second_as_one_after_another() -> None:
    at_s = [float(step) for step in range(-2, 20) for _user in range(8)]
    level = a_level(answered(at_s, [1.0] * len(at_s)), users=8)
    assert statistic("throughput", level).value == pytest.approx(8.0)


def test_good_is_what_the_slo_allows() -> None:
    assert statistic("goodput", steady(20)).value == 1.0
    level = steady(20)
    late = replace(level.records, ttft_s=(1.5,) * 23)
    long = replace(level.records, output_tokens=(0,) * 23, e2e_s=(1.5,) * 23)
    assert statistic("goodput", replace(level, records=late)).value == 0.0
    assert statistic("goodput", replace(level, records=long)).value == 0.0


def test_what_failed_is_an_error_and_not_good() -> None:
    level = steady(40)
    half = replace(level.records, e2e_s=(*level.records.e2e_s[:23], *[None] * 20))
    failed = replace(level, records=half)
    assert statistic("errors", failed).value == 0.5
    assert statistic("goodput", failed).value == 0.5
    assert statistic("e2e.p50", failed).value == 0.5


@pytest.mark.parametrize(("name", "least"), [("e2e.p50", 8), ("e2e.p95", 60), ("errors", 8)])
def test_too_few_values_give_no_statistic(name: str, least: int) -> None:
    assert BY_NAME[name].statistic([steady(least - 1)], SLO, 20) is None
    assert BY_NAME[name].statistic([steady(least)], SLO, 20) is not None


def test_three_answers_a_user_give_no_statistic() -> None:
    assert BY_NAME["e2e.p50"].statistic([a_run(0, users=16, requests=48)], SLO, 20) is None


def test_a_tail_takes_more_answers_where_a_hiccup_delays_many() -> None:
    tail = BY_NAME["e2e.p95"]
    assert tail.statistic([a_run(0, users=1, requests=100)], SLO, 20) is not None
    assert tail.statistic([a_run(0, users=8, requests=300)], SLO, 20) is None
    assert tail.statistic([a_run(0, users=8, requests=600)], SLO, 20) is not None


def test_users_in_step_know_their_times_no_finer_than_a_step() -> None:
    step_s, alone = 0.5 * 0.8 / 15, answered([0.5 * number for number in range(40)], [0.5] * 40)
    assert statistic("e2e.p50", a_level(alone, users=1)).error < 1e-4
    for name in ("e2e.p50", "throughput"):
        in_step = statistic(name, a_level(alone, users=2)).error
        assert in_step == pytest.approx(step_s / 12**0.5 / 0.5, rel=0.01)
    assert statistic("tpot.p50", a_level(alone, users=2)).error < 1e-3


def test_values_that_never_differ_are_known_as_finely_as_the_report_is() -> None:
    assert 0 < statistic("e2e.p50", steady(20)).error < 1e-4
    assert 0.02 < statistic("errors", steady(20)).error < 0.1
    assert statistic("errors", steady(500)).error < 0.01


def test_a_time_below_the_step_of_the_report_is_hardly_known() -> None:
    level = steady(20)
    none = replace(level, records=replace(level.records, tpot_s=(0.0,) * 23))
    assert statistic("tpot.p50", none).error > 0.2


def test_the_standard_error_is_about_what_runs_differ_by() -> None:
    runs = [a_run(seed, users=8, requests=160) for seed in range(60)]
    found = [statistic("e2e.p50", run, rounds=40) for run in runs]
    between = stdev(each.value for each in found) / 0.5
    assert 0.5 * between < fmean(each.error for each in found) < 1.5 * between


def test_a_drift_widens_the_error() -> None:
    draw = random.Random(1)
    noise = [0.1 * draw.gauss() for _ in range(200)]
    at_s = [0.5 * number for number in range(200)]
    mixed = a_level(answered(at_s, [0.5 + each for each in noise]), users=1)
    drifting = a_level(answered(at_s, [0.5 + each for each in sorted(noise)]), users=1)
    assert statistic("e2e.p50", drifting).error > 2 * statistic("e2e.p50", mixed).error
