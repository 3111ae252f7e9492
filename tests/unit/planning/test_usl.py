"""The law of throughput, fitted on what it was made of."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import InvalidRequest
from headrace.planning.usl import Point, Usl, fit_usl

LAW = Usl(rate=70.0, contention=0.08, coherence=0.0005)


def test_the_law_that_made_the_points_is_found() -> None:
    points = [(n, LAW.throughput(n)) for n in (1, 4, 16, 32)]
    found = fit_usl(points)
    assert found.rate == pytest.approx(LAW.rate)
    assert found.contention == pytest.approx(LAW.contention)
    assert found.coherence == pytest.approx(LAW.coherence)
    assert found.error(points) < 1e-6


def test_requests_that_cost_one_another_nothing_add_up() -> None:
    found = fit_usl([(1, 50.0), (8, 400.0), (32, 1600.0)])
    assert found.throughput(64) == pytest.approx(3200.0)


def test_throughput_has_its_most_where_the_crowd_costs_more_than_it_brings() -> None:
    crowded = Usl(100.0, 0.1, 0.01)
    assert crowded.most(64) > crowded.throughput(64)
    assert crowded.most(4) == crowded.throughput(4)


def test_of_one_slot_nothing_is_known_but_its_rate() -> None:
    assert fit_usl([(1, 50.0)]).most(1) == pytest.approx(50.0)


def test_the_largest_error_is_told() -> None:
    assert Usl(100.0, 0.0, 0.0).error([(1, 100.0), (2, 160.0)]) == pytest.approx(0.25)


@pytest.mark.parametrize("points", [[], [(1, 50.0), (4, 0.0)]])
def test_too_little_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidRequest):
        fit_usl(points)


AS_MEASURED = [
    (1, 390.9508780954189),
    (8, 2062.6382541760477),
    (16, 4015.739704755178),
    (32, 5168.774030839386),
]


def test_weights_that_do_not_add_up_to_a_whole_number_are_fitted() -> None:
    assert fit_usl(AS_MEASURED).error(AS_MEASURED) < 0.2


def test_a_crowd_that_only_costs_has_a_rate_for_one() -> None:
    """Time in proportion to the others: alone a request would take none."""
    points = [(2, 2.0), (3, 1.5), (5, 1.25)]
    assert 0 < fit_usl(points).rate < 10


@given(
    st.lists(
        st.tuples(st.floats(1, 4096), st.floats(1e-200, 1e200)), min_size=1, max_size=8
    ).filter(lambda points: max(x for _n, x in points) < 1e12 * min(x for _n, x in points))
)
def test_whatever_was_measured_the_law_is_finite(points: list[Point]) -> None:
    law = fit_usl(points)
    assert law.rate > 0
    assert min(law.contention, law.coherence) >= 0
    assert all(isfinite(law.throughput(n)) and law.throughput(n) > 0 for n in (1, 2, 64, 4096))
    assert isfinite(law.error(points))


@given(
    st.floats(0.01, 1e6),
    st.floats(0, 0.5),
    st.floats(0, 0.01),
    st.lists(st.integers(1, 256), min_size=3, max_size=8, unique=True),
)
def test_exact_points_give_back_their_law(
    rate: float, contention: float, coherence: float, crowds: list[int]
) -> None:
    law = Usl(rate, contention, coherence)
    points = [(float(n), law.throughput(n)) for n in crowds]
    assert fit_usl(points).error(points) < 0.05
