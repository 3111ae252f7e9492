from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.report import SCHEMA, report, write_csv, write_json
from tests.load import KeepsLevels, a_plan, closed
from tests.unit.loadtest.making import SERVER, a_failure, a_result, one_after_another


@pytest.fixture
def two_levels() -> LoadTest:
    plan = a_plan("http://127.0.0.1:1/v1", closed(1), closed(5), api_key="secret", model="tiny")
    test = LoadTest(plan, KeepsLevels())
    good = one_after_another(20, server=SERVER)
    test.results = [a_result(good), a_result([*good, a_failure(20.0, done=21.0)], load=closed(5))]
    return test


def level(test: LoadTest, number: int) -> dict[str, Any]:
    found: dict[str, Any] = report(test)["levels"][number]
    return found


def test_a_report_says_what_was_run(two_levels: LoadTest) -> None:
    found = report(two_levels)
    assert (found["schema"], found["api"], found["model"]) == (SCHEMA, "stream", "tiny")
    assert found["url"] == "http://127.0.0.1:1"
    assert found["load"]["levels"][1] == {
        "kind": "closed",
        "concurrency": 5,
        "prompt_tokens": 32,
        "max_tokens": 4,
        "ramp": None,
    }
    assert found["load"]["slo"] == {"latency_s": 1.0, "tpot_s": 0.15}


def test_the_key_is_in_no_report(two_levels: LoadTest, tmp_path: Path) -> None:
    write_json(two_levels, tmp_path / "out.json")
    write_csv(two_levels, tmp_path / "out.csv")
    assert "secret" not in (tmp_path / "out.json").read_text()
    assert "secret" not in (tmp_path / "out.csv").read_text()
    assert "secret" not in repr(two_levels.plan)


def test_a_level_has_all_its_figures(two_levels: LoadTest) -> None:
    found = level(two_levels, 0)
    assert found["valid"] is True
    assert found["throughput_per_s"] == 1.0
    assert found["e2e_s"]["p50"] == {"value": 1.0, "low": 1.0, "high": 1.0, "supported": True}
    assert found["e2e_s"]["p99"]["supported"] is False
    assert found["ttft_s"]["source"] == "client"
    assert found["stages_s"]["queue_wait"] == {"p50": 0.2, "p95": 0.2, "mean": 0.2}
    assert found["degradation"] == {"p50": 1.0, "p95": 1.0}
    assert [check["name"] for check in found["checks"]] == [
        *("complete", "little", "lag", "clocks", "counts", "concurrency"),
    ]


def test_an_invalid_level_says_so(two_levels: LoadTest) -> None:
    found = level(two_levels, 1)
    assert found["valid"] is False
    assert "users pause after an error" in found["problems"][0]
    assert found["errors"] == {"total": 1, "kinds": {"http_503": 1}, "messages": {}}


def test_the_report_is_json(two_levels: LoadTest, tmp_path: Path) -> None:
    write_json(two_levels, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == report(two_levels)


def test_the_csv_has_a_row_a_level(two_levels: LoadTest, tmp_path: Path) -> None:
    write_csv(two_levels, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        one, five = csv.DictReader(file)
    assert (one["schema"], one["level"], one["valid"]) == (SCHEMA, "1", "True")
    assert (five["level"], five["valid"], five["errors.kinds.http_503"]) == ("5", "False", "1")
    assert one["e2e_s.p50.value"] == "1.0"
    assert one["errors.kinds.http_503"] == ""
    assert "users pause after an error" in five["problems"]


def test_every_field_and_every_check_is_documented(two_levels: LoadTest) -> None:
    text = (Path(__file__).parents[3] / "docs" / "loadtest.md").read_text()
    first_cells = "".join(re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE))
    of_the_load = set(two_levels.results[0].load.describe())
    checks = {check.name for result in two_levels.results for check in result.checks}
    fields = set(level(two_levels, 0)) - of_the_load
    assert set(re.findall(r"`(\w+)`", first_cells)) == fields | checks
