"""The procedure, on a deployment whose law is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.slo import Slo
from headrace.planning.capacity import Unbearable, require_question
from tests.unit.planning.services import QUESTION, SLOTS, SimulatedDeployment, capacity

FULL_PER_S = SLOTS / (16 * (0.01 + 0.001 * SLOTS) + SLOTS * 32 * 0.0001)
"""Requests/s of a worker whose slots are all taken."""


def test_the_highest_rate_that_keeps_the_slo_is_found() -> None:
    deployment = SimulatedDeployment()
    found = capacity(deployment, slo=Slo(0.8, 0.0))
    assert found.too_high is not None
    assert found.rate < found.too_high <= 1.06 * found.rate
    assert 0.5 * FULL_PER_S < found.rate < FULL_PER_S


def test_two_workers_bear_about_twice_as_much() -> None:
    slo = Slo(0.8, 0.0)
    one, two = (capacity(SimulatedDeployment(workers), slo=slo) for workers in (1, 2))
    assert two.rate == pytest.approx(2 * one.rate, rel=0.25)
    assert two.per_worker == two.rate / 2


def test_levels_that_the_model_has_not_seen_come_as_it_says() -> None:
    found = capacity(SimulatedDeployment(), slo=Slo(0.8, 0.0))
    assert len(found.held_out) == 3
    for level in (level for tried in found.held_out for level in tried.levels):
        assert level.predicted.p95_s == pytest.approx(level.p95_s, rel=0.02)
        assert level.predicted.tokens_per_s == pytest.approx(level.tokens_per_s, rel=0.05)


def test_of_several_tries_the_median_counts_and_each_has_its_own_arrivals() -> None:
    found = capacity(SimulatedDeployment(), slo=Slo(0.8, 0.0), tries=3)
    for tried in found.held_out:
        each = [level.p95_s for level in tried.levels]
        assert len(set(each)) == 3
        assert tried.middle(lambda level: level.p95_s) == sorted(each)[1]


def test_a_model_that_is_wrong_is_seen_to_be() -> None:
    """A worker that is slower than its steps tell: the error must show."""
    found = capacity(SimulatedDeployment(slowness=1.5), slo=Slo(1.5, 0.0))
    tried = found.held_out[0]
    assert tried.middle(lambda level: level.p95_error) < -0.2
    assert tried.middle(lambda level: level.pace) == pytest.approx(1.0)


def test_a_machine_that_became_slower_is_told_from_a_model_that_is_wrong() -> None:
    slow_below = 0.5 * FULL_PER_S  # of all levels only those that are held out lie there
    deployment = SimulatedDeployment(slow_below=slow_below)
    level = capacity(deployment, slo=Slo(0.8, 0.0)).held_out[0].levels[0]
    assert level.pace == pytest.approx(2.0)
    assert level.predicted.p95_s < 0.85 * level.p95_s
    assert level.at_pace.p95_s == pytest.approx(level.p95_s, rel=0.05)


def test_any_rate_has_its_workers_with_what_is_not_known_about_them() -> None:
    found = capacity(SimulatedDeployment(), slo=Slo(0.8, 0.0))
    assert found.workers(found.rate / 2) == (1, 1)
    fewest, most = found.workers(20 * found.rate)
    assert fewest <= 20 == most


def test_an_slo_that_nobody_can_keep_is_said() -> None:
    with pytest.raises(Unbearable, match="miss the SLO"):
        capacity(SimulatedDeployment(), slo=Slo(0.01, 0.0))


def test_a_fleet_that_changes_meanwhile_is_said() -> None:
    with pytest.raises(Unbearable, match="1 to 1 workers at level 2"):
        capacity(SimulatedDeployment(workers=2, seen=1))


def test_a_rate_is_predicted_for_the_very_arrivals_that_are_sent() -> None:
    deployment = SimulatedDeployment()
    found = capacity(deployment, slo=Slo(0.8, 0.0))
    tried = [tried.rate for tried in found.held_out] * QUESTION.tries
    assert deployment.rates == [*(level.rate for level in found.probes), *tried]


@pytest.mark.parametrize("held_out", [(0.0,), (0.5, 1.0), (2.0,)])
def test_held_out_levels_lie_below_the_capacity(held_out: tuple[float, ...]) -> None:
    with pytest.raises(InvalidRequest, match="--held-out"):
        require_question(replace(QUESTION, held_out=held_out))
