from __future__ import annotations

import json

import pytest

from headrace.loadtest.slo import Slo
from headrace.planning.capacity import Capacity
from headrace.planning.capacity_report import report, rows, start_values
from scaler.rules import Rules
from tests.unit.planning.services import CURVE, QUESTION, SLOTS, SimulatedDeployment
from tests.unit.planning.services import capacity as measured


@pytest.fixture(scope="module")
def capacity() -> Capacity:
    return measured(SimulatedDeployment(), slo=Slo(0.8, 0.0))


def test_a_scaler_is_told_how_fast_a_worker_is(capacity: Capacity) -> None:
    start = start_values(capacity, QUESTION)
    assert start.curve.beta == pytest.approx(CURVE.beta)
    assert (start.prompt_tokens, start.output_tokens, start.allowed_tokens) == (32, 16, 16)
    assert start.cold_start_s == 4.0


def test_each_rate_has_its_workers_and_what_the_scaler_would_do(capacity: Capacity) -> None:
    rules = Rules(max_workers=64, slots=SLOTS, start=start_values(capacity, QUESTION))
    half, double = rows(capacity, QUESTION, [capacity.rate / 2, 8 * capacity.rate], rules)
    assert (half.fewest, half.most) == (1, 1)
    assert double.most == 8
    assert half.decision is not None and half.decision.size == 1
    assert double.decision is not None and double.decision.size >= 7
    assert "tokens/s" in double.decision.reason or "wanted lately" in double.decision.reason


def test_the_report_has_every_prediction_beside_what_was_measured(capacity: Capacity) -> None:
    rules = Rules(max_workers=64, slots=SLOTS, start=start_values(capacity, QUESTION))
    table = rows(capacity, QUESTION, [capacity.rate], rules)
    found = json.loads(json.dumps(report(capacity, QUESTION, table, "http://x", "tiny")))
    assert found["schema"] == "headrace.capacity/1"
    for level in found["predictions"]:
        assert level["predicted_p95_s"] == pytest.approx(level["measured_p95_s"], rel=0.02)
        assert level["measured_tokens_per_s"] > 0
        assert level["rate"] > 0
        assert len(level["tries"]) == QUESTION.tries
        assert {each["rate"] for each in level["tries"]} == {level["rate"]}
    assert found["rows"][0]["decision"]["workers"] >= 1
    assert found["capacity"]["too_high"] > found["capacity"]["rate"]
