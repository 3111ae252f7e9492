from __future__ import annotations

from typing import Any

import pytest

from bench.engine_contender import Batch
from bench.engine_fidelity import Fidelity
from bench.engine_report import (
    AHEAD,
    COMPARISONS,
    Findings,
    Gaps,
    Race,
    compare,
    own_figures,
    shares,
    table,
    targets,
)
from bench.machine_limits import MachineLimits

NAMES = {name for pair in COMPARISONS.values() for name in (pair.upper, *pair.lowers)}
FAITHFUL = Fidelity(dict.fromkeys(NAMES, 0.001))


def _runs(*rates: float, occupancy: float | None = None) -> list[Batch]:
    """A second each, of 10 steps."""
    return [Batch(100, int(rate), 1.0, 10, occupancy) for rate in rates]


def _report(findings: Findings, fidelity: Fidelity = FAITHFUL) -> dict[str, Any]:
    found = compare(findings, fidelity)
    return {"ratios": found.ratios | own_figures(findings), "withheld": found.withheld}


@pytest.fixture
def findings() -> Findings:
    equal = {"static": _runs(100, 100, 100), "torch": _runs(150, 200, 250)}
    mixed = {"openvino": _runs(90, 100, occupancy=0.95), "openvino_bare": _runs(100, 100)}
    gaps = [Gaps(0.01, 0.02, 0.03), Gaps(0.01, 0.04, 0.04), Gaps(0.01, 0.03, 0.03)]
    return Findings(
        races=[Race("equal", 32, equal), Race("mixed", 32, mixed)],
        levels={("torch", "equal", 8): _runs(40, 60)},
        gaps={"torch": gaps},
        decode_s=[0.03, 0.03],
        products_s=[0.02, 0.02],
    )


@pytest.fixture
def three() -> dict[str, list[Batch]]:
    return {
        "openvino": _runs(100, 110),
        "vllm_float32": _runs(50, 50),
        "vllm_bfloat16": _runs(80, 100),
    }


def test_ratios_are_of_those_who_ran_side_by_side(findings: Findings) -> None:
    found = compare(findings, FAITHFUL).ratios

    assert found["torch_vs_static_32a"] == 2.0
    assert found["torch_vs_static_32a_interval"] == [1.5, 2.5]
    assert found["openvino_vs_bare_32b"] == 0.95
    assert "torch_vs_static_32b" not in found
    assert "openvino_vs_llamacpp_32a" not in found


def test_each_level_has_a_ratio_of_its_own() -> None:
    races = [
        Race("equal", 1, {"openvino": _runs(100), "llama_cpp": _runs(200)}),
        Race("equal", 8, {"openvino": _runs(300), "llama_cpp": _runs(100)}),
    ]
    found = compare(Findings(races=races), FAITHFUL).ratios

    assert found["openvino_vs_llamacpp_1a"] == 0.5
    assert found["openvino_vs_llamacpp_8a"] == 3.0
    assert "openvino_vs_llamacpp_32a" not in found


def test_of_two_number_formats_the_better_one_counts(three: dict[str, list[Batch]]) -> None:
    found = compare(Findings(races=[Race("equal", 8, three)]), FAITHFUL)

    assert found.ratios["openvino_vs_vllm_8a"] == pytest.approx((100 / 80 + 110 / 100) / 2)
    assert found.best == {"openvino_vs_vllm_8a": "vllm_bfloat16"}


def test_the_better_format_is_that_of_the_level(three: dict[str, list[Batch]]) -> None:
    one = {**three, "vllm_float32": _runs(90, 110)}
    races = [Race("equal", 1, one), Race("equal", 8, three)]

    best = compare(Findings(races=races), FAITHFUL).best

    assert best == {"openvino_vs_vllm_1a": "vllm_float32", "openvino_vs_vllm_8a": "vllm_bfloat16"}


def test_an_engine_of_another_model_is_not_compared(three: dict[str, list[Batch]]) -> None:
    unlike = Fidelity({**FAITHFUL.kl, "vllm_bfloat16": 0.02})

    found = compare(Findings(races=[Race("equal", 8, three)]), unlike)

    assert found.best == {"openvino_vs_vllm_8a": "vllm_float32"}
    assert found.ratios["openvino_vs_vllm_8a"] > 2


@pytest.mark.parametrize(
    ("kl", "reason"), [({"openvino": 0.33}, "0.33 nats"), ({}, "openvino is not measured")]
)
def test_our_own_damaged_or_unmeasured_engine_has_no_ratio(
    kl: dict[str, float], reason: str, three: dict[str, list[Batch]]
) -> None:
    others = {name: value for name, value in FAITHFUL.kl.items() if name != "openvino"}

    report = _report(Findings(races=[Race("equal", 8, three)]), Fidelity(others | kl))

    assert report["ratios"] == {}
    assert reason in report["withheld"]["openvino_vs_vllm_8a"]
    assert [target.is_met for target in targets(report)] == [False]


def test_occupancy_and_interruption_are_the_torch_engine_s(findings: Findings) -> None:
    worse = [Gaps(0.01, 0.08, 0.08)] * 3
    findings.gaps["openvino"] = worse
    race = Race("mixed", 32, {"torch": _runs(50, 50, occupancy=0.8)})
    findings.races.append(race)

    found = own_figures(findings)

    assert found["itl_p95_ratio_c"] == 3.0
    assert found["occupancy_32b"] == 0.8


def test_the_decode_step_is_compared_with_its_products(findings: Findings) -> None:
    assert own_figures(findings)["decode_vs_matmul_32"] == 1.5


def test_nothing_measured_is_no_ratio_and_no_target() -> None:
    assert _report(Findings()) == {"ratios": {}, "withheld": {}}
    assert targets({"ratios": {}, "withheld": {}}) == []


def test_the_table_has_what_ran(findings: Findings) -> None:
    rates = table(findings, ["static", "torch"], [8, 32])

    assert rates["equal"] == {"static": {"32": 100.0}, "torch": {"8": 50.0, "32": 200.0}}
    assert rates["mixed"] == {"static": {}, "torch": {}}


def test_the_slower_format_is_beaten_and_an_absent_one_is_not(
    three: dict[str, list[Batch]],
) -> None:
    findings = Findings(races=[Race("equal", 32, three)])

    assert findings.beaten(("vllm_float32", "vllm_bfloat16")) == {"vllm_float32"}
    assert findings.beaten(("vllm_float32", "absent")) == set()
    assert Findings().beaten(("vllm_float32",)) == set()


def test_each_ratio_has_a_target_for_its_median_and_for_the_near_end(findings: Findings) -> None:
    met = {target.name: target.is_met for target in targets(_report(findings))}

    assert met["torch_vs_static_32a"] and met["torch_vs_static_32a, lower end"]
    assert met["itl_p95_ratio_c"] and not met["itl_p95_ratio_c, upper end"]


@pytest.mark.parametrize(("low", "is_met"), [(1.0, False), (1.001, True)])
def test_ahead_means_that_the_whole_interval_is_above_one(low: float, is_met: bool) -> None:
    for name in AHEAD:
        report = {"ratios": {name: 1.5, f"{name}_interval": [low, 2.0]}, "withheld": {}}
        assert [target.is_met for target in targets(report)] == [is_met]


def test_llama_cpp_may_lead_at_one_row() -> None:
    races = [Race("equal", 1, {"openvino": _runs(100), "llama_cpp": _runs(200)})]

    assert targets(_report(Findings(races=races))) == []


def test_shares_are_of_the_limits_of_the_machine(findings: Findings) -> None:
    limits = MachineLimits(fp32_gflops=1.0, bf16_gflops=6.0, read_gb_s=1.0)

    found: dict[str, Any] = shares(findings, limits, 10_000_000, {"torch": 20_000_000})

    assert found == {"torch": {"of_bf16": 1.0, "of_memory": 0.2}}
