"""Loads that never come, on workers whose law is known."""

from __future__ import annotations

import pytest

from headrace.loadtest.loads import OpenLoad
from headrace.loadtest.slo import Slo
from headrace.planning.machine import Machine
from headrace.planning.service import Prediction, Service, Stretch
from scaler.rules import Rules
from scaler.step_curve import StepCurve

CURVE = StepCurve(0.05, 0.0, 0.0)
SERVICE = Service(Machine(CURVE, 4), overhead_s=0.02, prompt_tokens=16.0, outputs=[10])
FULL_PER_S = 4 / (10 * 0.05)
SLO = Slo(1.0, 0.0)


def load(rate: float) -> OpenLoad:
    return OpenLoad(rate, "constant", 1.0, 0, 16, 10)


def predict(rate: float, workers: int = 1, service: Service = SERVICE) -> Prediction:
    return service.predict(load(rate), Stretch(2.0, 20.0), workers, SLO)


def test_a_calm_load_takes_its_steps_and_what_is_beside_them() -> None:
    found = predict(rate=1.0)
    assert found.p95_s == pytest.approx(10 * 0.05 + 0.02)
    assert found.tokens_per_s == pytest.approx(10.0, rel=0.06)
    assert found.goodput == 1.0


def test_too_much_waits_ever_longer() -> None:
    found = predict(rate=2 * FULL_PER_S)
    assert found.p95_s > 5.0
    assert found.goodput < 0.5
    assert found.tokens_per_s == pytest.approx(10 * FULL_PER_S, rel=0.05)


def test_a_second_worker_takes_half_of_it() -> None:
    assert predict(rate=1.5 * FULL_PER_S, workers=2).goodput == 1.0


def test_a_slower_machine_takes_longer() -> None:
    assert predict(1.0, service=SERVICE.slower(2.0)).p95_s == pytest.approx(2 * 0.5 + 0.02)


def test_the_policy_comes_to_the_workers_that_a_rate_takes() -> None:
    rules = Rules(max_workers=8, slots=4, slo_tpot_s=0.15, cold_start_s=2.0)
    calm, busy = (SERVICE.scaled(load(rate * FULL_PER_S), 120.0, 1, rules) for rate in (0.3, 2.0))
    assert calm is not None and calm.size == 1
    assert busy is not None and busy.size == 3
