from __future__ import annotations

from typing import Any

from bench.int8 import targets


def report_of(ratio: float, **fields: Any) -> dict[str, Any]:
    rows = [{"rows": rows, "ratio": ratio} for rows in (1, 8, 32)]
    return {"kl": 0.004, "rows": rows, **fields}


def test_eight_rows_have_a_target() -> None:
    assert [target.is_met for target in targets(report_of(2.1))] == [True, True]
    assert [target.is_met for target in targets(report_of(1.9))] == [True, False]


def test_a_model_far_from_itself_misses_its_target() -> None:
    assert not targets(report_of(2.1) | {"kl": 0.011})[0].is_met


def test_vllm_is_to_be_beaten_by_every_number_of_users() -> None:
    service = {
        "torch": {"tokens_per_s": {"1": 30.0, "8": 90.0}},
        "vllm_float32": {"tokens_per_s": {"1": 20.0, "8": 100.0}},
    }
    found = targets(report_of(2.1, service=service))[2:]
    assert [(target.value, target.is_met) for target in found] == [(1.5, True), (0.9, False)]
