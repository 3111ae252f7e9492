from __future__ import annotations

from typing import Any

import pytest

from bench.engine_contender import Batch
from bench.engine_report import Findings, Gaps, ratios, shares, table, targets
from bench.machine_limits import MachineLimits


def _runs(*rates: float, occupancy: float | None = None) -> list[Batch]:
    """A second each, of 10 steps."""
    return [Batch(100, int(rate), 1.0, 10, occupancy) for rate in rates]


@pytest.fixture
def findings() -> Findings:
    equal = {"static": _runs(100, 100, 100), "torch": _runs(150, 200, 250)}
    mixed = {"openvino": _runs(90, 100, occupancy=0.95), "openvino_bare": _runs(100, 100)}
    gaps = [Gaps(0.01, 0.02, 0.03), Gaps(0.01, 0.04, 0.04), Gaps(0.01, 0.03, 0.03)]
    return Findings(
        races=[("equal", equal), ("mixed", mixed)],
        levels={("torch", "equal", 8): _runs(40, 60)},
        gaps={"torch": gaps},
        decode_s=[0.03, 0.03],
        products_s=[0.02, 0.02],
    )


def test_ratios_are_of_those_who_ran_side_by_side(findings: Findings) -> None:
    found = ratios(findings)

    assert found["torch_vs_static_32a"] == 2.0
    assert found["torch_vs_static_32a_interval"] == [1.5, 2.5]
    assert found["openvino_vs_bare_32b"] == 0.95
    assert "torch_vs_static_32b" not in found
    assert "openvino_vs_llamacpp_32a" not in found


def test_occupancy_and_interruption_are_the_torch_engine_s(findings: Findings) -> None:
    worse = [Gaps(0.01, 0.08, 0.08)] * 3
    findings.gaps["openvino"] = worse
    findings.races[1][1]["torch"] = _runs(50, 50, occupancy=0.8)

    found = ratios(findings)

    assert found["itl_p95_ratio_c"] == 3.0
    assert found["occupancy_32b"] == 0.8


def test_the_decode_step_is_compared_with_its_products(findings: Findings) -> None:
    assert ratios(findings)["decode_vs_matmul_32"] == 1.5


def test_nothing_measured_is_no_ratio_and_no_target() -> None:
    assert ratios(Findings()) == {}
    assert targets({"ratios": {}}) == []


def test_the_table_has_what_ran(findings: Findings) -> None:
    rates = table(findings, ["static", "torch"], [8, 32])

    assert rates["equal"] == {"static": {"32": 100.0}, "torch": {"8": 50.0, "32": 200.0}}
    assert rates["mixed"] == {"static": {}, "torch": {}}


def test_each_ratio_has_a_target_for_its_median_and_for_the_near_end(findings: Findings) -> None:
    met = {target.name: target.is_met for target in targets({"ratios": ratios(findings)})}

    assert met["torch_vs_static_32a"] and met["torch_vs_static_32a, lower end"]
    assert met["itl_p95_ratio_c"] and not met["itl_p95_ratio_c, upper end"]


def test_shares_are_of_the_limits_of_the_machine(findings: Findings) -> None:
    limits = MachineLimits(fp32_gflops=1.0, bf16_gflops=6.0, read_gb_s=1.0)

    found: dict[str, Any] = shares(findings, limits, 10_000_000, {"torch": 20_000_000})

    assert found == {"torch": {"of_bf16": 1.0, "of_memory": 0.2}}
