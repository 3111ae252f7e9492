from __future__ import annotations

from typing import Any

import pytest

from bench.engine_report import COMPARISONS
from bench.engine_tables import BEGIN, END, NAMES, insert, markdown


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "ratios": {"openvino_vs_vllm_8a": 1.234, "openvino_vs_vllm_8a_interval": [1.1, 1.3]},
        "best": {"openvino_vs_vllm_8a": "vllm_float32"},
        "withheld": {"openvino_vs_llamacpp_8a": "llama_cpp is not measured"},
        "fidelity": {"openvino": 0.0021, "vllm_float32": None, "torch": 0.33},
        "tokens_per_s": {
            "equal": {"openvino": {"8": 293.6}, "vllm_float32": {"8": 238.0}, "torch": {}},
            "mixed": {"openvino": {}, "vllm_float32": {}, "torch": {}},
        },
        "options": {
            "llama_cpp": {"is_repacked": True, "weights_mib": {"AMX": 70.3}, "options": []}
        },
        "conditions": {
            "commit": "0123abc",
            "date": "2026-11-30",
            "cpu": "2 x Processor",
            "features": ["avx512_vnni", "amx_int8"],
        },
        "model": "smollm2",
    }


def test_the_tables_say_what_they_were_measured_on(report: dict[str, Any]) -> None:
    text = markdown(report)

    assert "commit 0123abc, on 2 x Processor (avx512_vnni amx_int8)" in text
    assert "llama.cpp ran with repacked weights (AMX 70 MiB)." in text


def test_each_contender_has_its_fidelity_and_its_rates(report: dict[str, Any]) -> None:
    text = markdown(report)

    assert "| **Headrace, OpenVINO** | 0.00210 | - | 294 | - | - | - | - | - | - |" in text
    assert "| vLLM, float32 | not measured | - | 238 |" in text
    assert "| **Headrace, torch** | **0.33** |" in text


def test_a_ratio_names_whom_it_is_against(report: dict[str, Any]) -> None:
    row = "| Headrace, OpenVINO / vLLM, float32, 8 (a) | 1.23 (1.10 to 1.30) |"

    assert f"{row} all of it above 1 | met |" in markdown(report)


def test_a_ratio_that_is_withheld_is_listed(report: dict[str, Any]) -> None:
    line = "- Headrace, OpenVINO / llama.cpp, 8 (a): withheld, llama_cpp is not measured"

    assert line in markdown(report)


def test_a_report_from_before_fidelity_says_so(report: dict[str, Any]) -> None:
    del report["fidelity"]
    report["options"] = {"llama_cpp": ["--no-repack"]}

    assert "a damaged copy" in markdown(report)


def test_every_contender_of_a_ratio_has_a_name() -> None:
    assert {name for pair in COMPARISONS.values() for name in (pair.upper, *pair.lowers)} <= set(
        NAMES
    )


def test_tables_go_between_their_marks() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter"

    assert insert(document, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter"
    with pytest.raises(ValueError, match="has no"):
        insert("no marks", "new")
