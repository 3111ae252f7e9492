"""What the benchmark of fidelity insists on, and the table that it fills."""

from __future__ import annotations

from typing import Any

import pytest

from bench.engine_tables import insert
from bench.fidelity import OURS, targets
from bench.fidelity_table import BEGIN, END, markdown


@pytest.fixture
def report() -> dict[str, Any]:
    engine = {
        "kl": 0.0005,
        "top1": 0.98,
        "perplexity_ratio": 1.001,
        "tokens_per_s_1": 50.0,
        "tokens_per_s_32": 600.0,
    }
    ratios = {"1": 1.02, "1_interval": [1.0, 1.04], "32": 1.03, "32_interval": [1.0, 1.05]}
    conditions = {"cpu": "2 x cores", "features": ["amx_bf16"], "commit": "abc", "date": "today"}
    return {
        "engines": {name: dict(engine) for name in OURS},
        "faithful_over_rounded": ratios,
        "conditions": conditions,
    }


def missed(report: dict[str, Any]) -> list[str]:
    return [target.name for target in targets(report) if not target.is_met]


def test_engines_that_answer_as_their_model_meet_every_target(report: dict[str, Any]) -> None:
    assert missed(report) == []


@pytest.mark.parametrize(
    ("engine", "figure", "value"),
    [
        ("openvino", "kl", 0.0031),
        ("openvino_float32", "kl", 0.0011),
        ("torch_bfloat16", "kl", 0.011),
        ("openvino", "top1", 0.969),
    ],
)
def test_an_engine_that_is_too_far_is_a_miss(
    report: dict[str, Any], engine: str, figure: str, value: float
) -> None:
    report["engines"][engine][figure] = value
    assert len(missed(report)) == 1
    assert engine in missed(report)[0]


@pytest.mark.parametrize("level", ["1", "32"])
def test_a_default_that_is_slower_than_what_it_replaced_is_a_miss(
    report: dict[str, Any], level: str
) -> None:
    report["faithful_over_rounded"][level] = 0.94
    assert missed(report) == [f"tokens/s of the rounded copy's, {level} rows"]


def test_the_table_has_a_row_an_engine(report: dict[str, Any]) -> None:
    table = markdown(report)
    assert table.count("| 0.00050 | 98.0% | 1.0010 | 50 | 600 |") == len(OURS)
    assert "Measured today, commit abc, on 2 x cores (amx_bf16)." in table
    page = insert(f"before {BEGIN}old{END} after", table, BEGIN, END)
    assert page.startswith("before ")
    assert page.endswith(" after")
    assert "old" not in page
