"""The law of throughput, fitted on what it was made of."""

from __future__ import annotations

import pytest

from headrace.core.errors import InvalidRequest
from headrace.planning.usl import Usl, fit_usl

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
