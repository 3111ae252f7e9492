from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.autoscale.contenders import POLICIES
from bench.autoscale.course import make_course
from bench.autoscale.score import Score
from bench.autoscale.summary import Row, beats, laws, summarise, targets
from headrace.planning.machine import Machine
from headrace.planning.simulator import simulate
from headrace.planning.trace import Trace
from scaler.step_curve import StepCurve

SCORE = Score(10, 0.9, 1000, 3, 0, 0, 1.0, 2.0, 0.0, 0.0, 5.0)


def row(policy: str, load: str = "step", **changes: float) -> Row:
    return summarise(load, 5.0, policy, [replace(SCORE, **changes)] * 3)  # type: ignore[arg-type]


def test_a_row_has_means_and_their_intervals() -> None:
    scores = [replace(SCORE, worker_s=each) for each in (900, 1000, 1100)]
    found = summarise("step", 5.0, "ours", scores)

    assert (found["load"], found["cold_start_s"], found["policy"]) == ("step", 5.0, "ours")
    assert found["worker_s"]["mean"] == 1000
    assert found["worker_s"]["interval"] == pytest.approx([752, 1248], abs=1)


def test_who_attains_more_at_no_higher_cost_beats_ours() -> None:
    ours = row("ours")

    assert beats(row("keda", attainment=0.91), ours)
    assert not beats(row("keda", attainment=0.91, worker_s=1001), ours)
    assert not beats(row("keda", attainment=0.9), ours)
    assert not beats(row("oracle", attainment=1.0), ours)
    assert not beats(row("keda", load="azure", attainment=1.0), ours)


def test_targets_say_where_ours_loses() -> None:
    rows = [row("ours", slo_violation_s=8, busy_kills=1), row("keda", slo_violation_s=10)]
    lines = {target.name: target.is_met for target in targets(rows)}

    assert lines == {
        "violation s / KEDA's, step, cold start 5 s": False,
        "worker s / KEDA's, step, cold start 5 s": True,
        "of 1 loads, on which nobody beats ours, cold start 5 s": False,
        "of 1 loads, on which no scaler beats ours, cold start 5 s": False,
    }


def test_a_fleet_that_was_told_its_fullest_minute_is_no_scaler() -> None:
    def unbeaten(*others: str) -> dict[str, float]:
        ours = [row("ours", load=load) for load in ("step", "spike")]
        rows = [*ours, *(row(other, attainment=1.0) for other in others)]
        return {target.name.split()[5]: target.value for target in targets(rows)}

    assert unbeaten("static-peak") == {"nobody": 1, "no": 2}
    assert unbeaten("knative") == {"nobody": 1, "no": 1}


def test_laws_are_told_from_targets() -> None:
    rows = [row("ours", load="constant", busy_kills=1), row("keda", load="constant", reversals=5)]

    assert {law.name: law.is_met for law in laws(rows)} == {
        "busy kills of ours": False,
        "reversals, constant, cold start 5 s": True,
    }


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_ends_every_request_of_a_small_load(name: str) -> None:
    machine = Machine(StepCurve(0.03, 0.0003, 0.0009), slots=32)
    draw = np.random.default_rng(3)
    arrivals = np.sort(draw.uniform(0, 200, 100))
    trace = Trace(arrivals, draw.uniform(20, 400, 100), draw.uniform(10, 300, 100), 200.0)
    scaler = POLICIES[name](trace, machine, 5.0)
    outcome = simulate(trace, scaler, make_course(machine, 5.0, 1))

    assert np.isfinite(outcome.ends).all()
    assert (np.array(outcome.ends) > trace.arrivals).all()
    assert outcome.worker_s >= 200
