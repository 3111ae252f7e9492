from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scaler.arrivals import Arrivals
from scaler.readings import Load
from scaler.rules import Rules

RULES = Rules()


def after(arrivals: Arrivals, jobs_a_tick: list[int]) -> Arrivals:
    for jobs in jobs_a_tick:
        arrivals = arrivals.after(Load(jobs, 100.0 * jobs), 2.0, RULES)
    return arrivals


def test_demand_and_crest_of_a_constant_load_are_its_rate() -> None:
    arrivals = after(Arrivals(), [20] * 100)

    assert round(arrivals.demand(RULES)) == round(arrivals.crest(RULES)) == 1000


def test_the_crest_sees_a_step_before_the_demand_does() -> None:
    arrivals = after(after(Arrivals(), [20] * 100), [200] * 2)

    assert arrivals.crest(RULES) > 7000 > arrivals.demand(RULES)


def test_chance_is_no_step() -> None:
    draw = np.random.default_rng(0)
    arrivals = after(Arrivals(), [20] * 100)
    for jobs in draw.poisson(20, 500):
        arrivals = after(arrivals, [int(jobs)])
        assert arrivals.crest(RULES) < 1600


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1e9), st.floats(1e-3, 1e5)), max_size=30)
)
def test_whatever_comes_the_averages_are_no_higher_than_it_was(
    ticks: list[tuple[int, float, float]],
) -> None:
    arrivals = Arrivals()
    for jobs, tokens, seconds in ticks:
        arrivals = arrivals.after(Load(jobs, tokens), seconds, RULES)
    highest = max((tokens / seconds for _jobs, tokens, seconds in ticks), default=0.0)
    for rate in (arrivals.demand(RULES), arrivals.crest(RULES)):
        assert math.isfinite(rate)
        assert 0 <= rate <= highest * (1 + 1e-9)
