"""The report of the service benchmark about the runs of one engine."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.service_report import SLOTS, cpu_ms_per_token, engine_report, targets
from bench.service_sides import DIRECT, Run


def service(tokens: float, api_s: float = 0.1, first: Sequence[float] = (0.2,)) -> Run:
    return Run(tokens, 4.0, first, {"api": api_s, "engine": 2.0}, idle_cpu_s=0.04)


def direct(tokens: float) -> Run:
    return Run(tokens, 4.0, [0.1], {DIRECT: 3.0}, idle_cpu_s=0.4)


def test_a_ratio_is_that_of_the_runs_of_a_pair() -> None:
    report = engine_report({8: [(service(80), direct(100)), (service(45), direct(50))]})

    assert report["ratio_8"] == pytest.approx(0.85)
    assert report["ratio_8_interval"] == [0.8, 0.9]
    assert report["tokens_per_s"] == {"service": {"8": 15.6}, "direct": {"8": 18.8}}
    assert report["runs_tokens_per_s"] == {"8": [[20.0, 25.0], [11.2, 12.5]]}


def test_cpu_time_is_that_of_all_runs_by_all_their_tokens() -> None:
    found = cpu_ms_per_token({8: [service(300, api_s=0.02), service(100, api_s=0.1)]})

    assert found == {"api": {"8": 0.3}, "engine": {"8": 10.0}}


def test_the_cost_of_the_api_is_that_with_every_slot_in_use() -> None:
    pair = (service(1000, api_s=0.12), direct(1000))

    assert engine_report({SLOTS: [pair]})["api_cpu_ms_per_token"] == 0.12
    assert "api_cpu_ms_per_token" not in engine_report({8: [pair]})


def test_first_tokens_are_those_of_all_runs() -> None:
    runs = [service(80, first=[0.1, 0.3]), service(80, first=[0.2]), service(80, first=[])]
    report = engine_report({1: [(run, direct(100)) for run in runs]})

    assert report["ttft_p50_ms"]["service"] == {"1": 200.0}
    assert report["ttft_p50_ms"]["direct"] == {"1": 100.0}


def test_levels_without_a_pair_are_absent() -> None:
    report = engine_report({1: [(service(80), direct(100))], 8: []})

    assert "ratio_1" in report
    assert "ratio_8" not in report


def test_the_report_says_what_waits_beside_a_run() -> None:
    report = engine_report({1: [(service(80), direct(100))]})

    assert list(report["idle_cores"].values()) == [0.01, 0.1]


def test_an_engine_is_held_to_its_targets() -> None:
    good = {"ratio_32": 0.95, "api_cpu_ms_per_token": 0.1}
    bad = {"ratio_32": 0.8, "api_cpu_ms_per_token": 0.2}
    names = ("openvino", "torch", "simulated")

    assert all(target.is_met for target in targets(dict.fromkeys(names, good)))
    assert not any(target.is_met for target in targets(dict.fromkeys(names, bad)))
    assert len(targets(dict.fromkeys(names, good))) == 5
    assert targets({"torch": {"ratio_8": 0.1}}) == []
