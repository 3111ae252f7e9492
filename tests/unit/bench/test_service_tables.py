"""The tables of the service in the document, from the results that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.service_tables import NOT_MEASURED, OWN, PEERS, filled, marks, own_table, peers_table

CONDITIONS = {
    "commit": "0123abc",
    "date": "2026-11-30",
    "cpu": "2 x Processor",
    "features": ["vnni"],
}
EMPTY = "before\n" + "".join("\n".join([*marks(name), ""]) for name in (OWN, PEERS)) + "after"


@pytest.fixture
def own() -> dict[str, Any]:
    engine = {
        "ratio_8": 0.934,
        "ratio_8_interval": [0.9, 0.96],
        "tokens_per_s": {"service": {"8": 171.2}, "direct": {"8": 183.0}},
        "ttft_p50_ms": {"service": {"8": 80.2}},
        "ttft_p95_ms": {"service": {}},
        "cpu_ms_per_token": {"api": {"8": 0.141}},
    }
    return {"conditions": CONDITIONS, "engines": {"openvino": engine}}


@pytest.fixture
def peers() -> dict[str, Any]:
    engines = {
        "llama_cpp": {"tokens_per_s": {"1": 150.4, "8": 310.6}, "ttft_p95_ms": {"1": 90.1}},
        "torch": {"tokens_per_s": {"1": 24.0, "8": 160.0}, "ttft_p95_ms": {"1": 60.0, "8": 70.0}},
    }
    return {"conditions": CONDITIONS, "engines": engines}


def test_a_row_has_the_service_beside_the_engine(own: dict[str, Any]) -> None:
    row = "| **Headrace, OpenVINO** | 8 | 171 | 0.93 (0.90 to 0.96) | 80 ms, - | 0.14 ms |"

    assert row in own_table(own)
    assert "commit 0123abc, on 2 x Processor (vnni)" in own_table(own)


def test_a_row_of_a_server_has_its_rates_and_its_first_tokens(peers: dict[str, Any]) -> None:
    lines = peers_table(peers).splitlines()

    assert "| | tokens/s, 1 | 8 | first token p95, 1 | 8 |" in lines
    assert lines[-2:] == [
        "| **Headrace, torch** | 24 | 160 | 60 ms | 70 ms |",
        "| llama.cpp | 150 | 311 | 90 ms | - |",
    ]


def test_a_document_says_what_nobody_has_measured(own: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / f"{OWN}.json").write_text(json.dumps(own))
    document = filled(EMPTY, tmp_path)

    assert own_table(own) in document
    assert f"{marks(PEERS)[0]}\n{NOT_MEASURED}\n{marks(PEERS)[1]}" in document
    assert filled(document, tmp_path) == document
