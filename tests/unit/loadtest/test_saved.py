from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.report import write_json
from headrace.loadtest.saved import read_report
from tests.load import KeepsLevels, a_plan, closed, constant
from tests.unit.loadtest.making import a_failure, a_record, a_result, one_after_another


@pytest.fixture
def file(tmp_path: Path) -> Path:
    plan = a_plan("http://127.0.0.1:1/v1", closed(5), constant(2.0), model="tiny")
    test = LoadTest(plan, KeepsLevels())
    records = [a_record(-1.0, measured=False), *one_after_another(3), a_failure(3.0, done=4.0)]
    test.results = [a_result(records, load=closed(5)), a_result(load=constant(2.0))]
    write_json(test, tmp_path / "out.json")
    return tmp_path / "out.json"


def test_what_was_run_comes_back(file: Path) -> None:
    report = read_report(file)
    assert (report.api, report.model, report.url) == ("stream", "tiny", "http://127.0.0.1:1")
    assert report.load.slo.latency_s == 1.0
    assert [(level.kind, level.label) for level in report.levels] == [
        ("closed", "5"),
        ("open", "2"),
    ]


def test_a_level_knows_its_load_and_whether_it_may_be_believed(file: Path) -> None:
    users, rate = read_report(file).levels
    assert (users.concurrency, users.rate, users.max_tokens) == (5, None, 4)
    assert (rate.concurrency, rate.rate, rate.arrivals) == (None, 2.0, "constant")
    assert not users.valid
    assert "users pause after an error" in users.problems[-1]
    assert users.fleet is None


def test_requests_come_back_as_columns_and_failures_without_times(file: Path) -> None:
    level = read_report(file).levels[0]
    records = level.records
    assert records.at_s == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert records.measured == (False, True, True, True, True)
    assert records.e2e_s == (1.0, 1.0, 1.0, 1.0, None)
    assert records.output_tokens == (4, 4, 4, 4, 0)
    assert level.ttft is not None
    assert level.ttft.source == "client"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("level,requests\n1,20\n", "no JSON"),
        ("[]", "schema: None instead of 'headrace.loadtest/3'"),
        ('{"schema": "headrace.loadtest/1"}', "schema: 'headrace.loadtest/1' instead of"),
        ('{"schema": "headrace.loadtest/3"}', "headrace: Field required"),
    ],
)
def test_what_is_no_report_is_refused(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidRequest, match=f"out.json: {says}"):
        read_report(file)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda level: level.pop("began_s"), "levels.0.began_s: Field required"),
        (lambda level: level.update(window_s="40"), "levels.0.window_s: .* valid number"),
        (lambda level: level.update(window_s=float("nan")), "levels.0.window_s"),
        (lambda level: level["records"].pop("at_s"), "levels.0.records.at_s: Field required"),
        (lambda level: level["records"]["at_s"].pop(), "levels.0.records: .*differ in length"),
        (lambda level: level["records"].update(at_s=["a"]), "levels.0.records.at_s.0: "),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_named(
    file: Path, harm: Callable[[dict[str, Any]], Any], says: str
) -> None:
    document = json.loads(file.read_text())
    harm(document["levels"][0])
    file.write_text(json.dumps(document))
    with pytest.raises(InvalidRequest, match=f"out.json: {says}"):
        read_report(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere\.json: No such file"):
        read_report(tmp_path / "nowhere.json")
