from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.report import write_json
from tests.load import KeepsLevels, a_plan, closed
from tests.openai_server import OpenAiServer
from tests.unit.loadtest.making import a_record, a_result

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a report of one level with answers after so many s; returns its path."""

    def saved(name: str, e2e_s: float = 0.5, users: int = 1, **plan: Any) -> str:
        load = closed(users)
        test = LoadTest(a_plan("http://127.0.0.1:1", load, model="tiny", **plan), KeepsLevels())
        records = [a_record(number * e2e_s, e2e_s) for number in range(80)]
        test.results = [a_result(records, load=load)]
        write_json(test, tmp_path / f"{name}.json")
        return str(tmp_path / f"{name}.json")

    return saved


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["loadtest", "compare", *arguments])


def test_what_is_as_fast_is_status_0(write: Write) -> None:
    result = compare(write("a"), write("b", e2e_s=0.51))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "B is equal"
    assert any(line.split()[:2] == ["1", "e2e.p50"] for line in result.stdout.splitlines())


def test_what_is_faster_is_status_0(write: Write) -> None:
    result = compare(write("a"), write("b", e2e_s=0.4))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "B is faster")


def test_what_is_slower_is_status_1(write: Write) -> None:
    result = compare(write("a"), write("b", e2e_s=0.6))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "B is slower")
    row = next(line for line in result.stdout.splitlines() if "e2e.p50" in line)
    assert row.split()[2:8] == ["500.00", "ms", "600.00", "ms", "+20.0", "%"]


def test_the_tolerance_says_what_counts(write: Write) -> None:
    assert compare(write("a"), write("b", e2e_s=0.6), "--tolerance", "0.3").exit_code == 0


@pytest.mark.parametrize("tolerance", ["-0.1", "2", "much"])
def test_a_tolerance_is_a_share(write: Write, tolerance: str) -> None:
    assert compare(write("a"), write("b"), "--tolerance", tolerance).exit_code == 2


def test_the_comparison_is_written(write: Write, tmp_path: Path) -> None:
    compare(write("a"), write("b", e2e_s=0.6), "--json", str(tmp_path / "out.json"))
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["schema"], found["verdict"]) == ("headrace.loadtest.comparison/1", "slower")
    change = found["levels"][0]["changes"][0]
    assert (change["metric"], change["a"], change["status"]) == ("e2e.p50", 0.5, "slower")
    assert change["low"] <= 1.2 <= change["high"]


def test_another_load_is_status_2_and_named(write: Write) -> None:
    result = compare(write("a"), write("b", temperature=0.7))
    assert result.exit_code == 2
    assert "the loads differ: temperature 0.0 in A, 0.7 in B" in result.stderr


def test_what_is_no_report_is_status_2_and_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"schema": "headrace.loadtest/1"}')
    result = compare(write("a"), str(tmp_path / "b.json"))
    assert result.exit_code == 2
    assert "b.json: schema: 'headrace.loadtest/1'" in result.stderr


def test_a_file_that_cannot_be_written_is_status_2(write: Write) -> None:
    result = compare(write("a"), write("b"), "--json", "/no/such/folder/out.json")
    assert result.exit_code == 2
    assert "--json: /no/such/folder/out.json: No such file" in result.stderr


def test_reports_without_a_common_level_are_status_3(write: Write) -> None:
    result = compare(write("a"), write("b", users=2))
    assert result.exit_code == 3
    assert "only in A: closed 1" in result.stdout
    assert "A and B cannot be compared" in result.stdout


def test_a_level_that_is_not_valid_is_status_3(write: Write) -> None:
    path = Path(write("b"))
    report = json.loads(path.read_text())
    report["levels"][0] |= {"valid": False, "problems": ["lag: too busy"]}
    path.write_text(json.dumps(report))
    result = compare(write("a"), str(path))
    assert result.exit_code == 3
    assert "! level 1: B is not valid: lag: too busy" in result.stdout


def test_too_few_requests_are_status_3(write: Write) -> None:
    short = Path(write("b"))
    report = json.loads(short.read_text())
    records = report["levels"][0]["records"]
    report["levels"][0]["records"] = {name: column[:5] for name, column in records.items()}
    short.write_text(json.dumps(report))
    result = compare(write("a"), str(short))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (3, "too few requests to tell")
    assert "e2e.p50 is not compared: too few values to tell" in result.stdout


def test_what_loadtest_writes_can_be_compared(tmp_path: Path) -> None:
    with OpenAiServer(service_s=0.005) as server:
        test = LoadTest(a_plan(server.url, closed(2)), KeepsLevels())
        asyncio.run(test.run())
    test.results = [
        replace(result, checks=()) for result in test.results
    ]  # however busy it is here
    write_json(test, tmp_path / "a.json")
    result = compare(*[str(tmp_path / "a.json")] * 2)
    assert "+0.0 %" in result.stdout
