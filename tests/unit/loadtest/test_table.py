from __future__ import annotations

import io

from rich.console import Console

from headrace.loadtest.record import ServerTimes
from headrace.loadtest.result import Result
from headrace.loadtest.table import drawn, markdown
from tests.load import closed
from tests.unit.loadtest.making import SERVER, SLO, a_failure, a_result, one_after_another


def shown(*results: Result, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn(results, [SLO]))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def rows(lines: list[str], level: str) -> list[list[str]]:
    """The level's line of each table."""
    return [line.split() for line in lines if line.split()[:1] == [level]]


def test_a_level_is_a_row() -> None:
    lines = shown(a_result(one_after_another(300, server=SERVER)))
    load, latency, _stages = rows(lines, "1")
    assert load == ["1", "300", "0", "1.00", "4.0", "3.0", "100.0", "1.00", "1.00"]
    assert latency[:4] == ["1", "1.000", "[1.000", "1.000]"]
    assert latency[4:] == ["1.000", "1.000", "1.000", "0.500", "0.500", "0.500", "~100.0"]


def test_the_stages_of_the_server_are_a_table_of_their_own() -> None:
    lines = shown(a_result(one_after_another(300, server=SERVER)))
    assert any(line.split()[:3] == ["level", "tokenize", "queue"] for line in lines)
    assert "200/200" in "\n".join(lines)


def test_a_server_without_stages_has_one_table() -> None:
    assert not any("tokenize" in line for line in shown(a_result()))


def test_an_unsupported_p99_is_marked_and_explained() -> None:
    lines = shown(a_result(one_after_another(20)))
    assert "1.000*" in rows(lines, "1")[1]
    assert "* fewer than 300 answers: supports no claim" in lines


def test_what_the_server_says_is_marked_and_explained() -> None:
    unseen = one_after_another(300, server=SERVER, first_token=None, last_token=None)
    lines = shown(a_result(unseen))
    assert "~0.400" in rows(lines, "1")[1]
    assert "~ as the server says" in lines


def test_an_invalid_level_is_marked_and_explained() -> None:
    lines = shown(a_result(load=closed(5)))
    assert rows(lines, "5!")
    assert any(line.startswith("! level 5 is not valid: concurrency: 1.00") for line in lines)


def test_errors_are_counted_by_kind_below() -> None:
    lines = shown(a_result([*one_after_another(20), a_failure(20.0, done=20.5)]))
    assert rows(lines, "1")[0][2] == "1"
    assert "level 1: 1 x http_503" in lines


def test_what_the_server_said_about_an_error_is_shown_once() -> None:
    failures = [a_failure(20.0 + number, message="the disk is full") for number in range(3)]
    lines = shown(a_result([*one_after_another(20), *failures]))
    assert "level 1: 3 x http_503: the disk is full" in lines


def test_the_tables_fit_80_columns() -> None:
    slow = ServerTimes(0.1, dict.fromkeys(SERVER.stages_s, 2.2222), 31.5)
    busy = one_after_another(1999, server=slow, e2e_s=12.3456)
    lines = shown(a_result(busy, load=closed(30)), width=300)
    assert max(len(line) for line in lines[:11]) <= 80


def test_a_level_without_an_answer_is_shown_as_such() -> None:
    lines = shown(a_result([a_failure(float(number)) for number in range(20)]))
    assert rows(lines, "1!")[0] == ["1!", "20", "20", "0.00", "0.0", "-", "0.0", "-"]
    assert rows(lines, "1!")[1] == ["1!", *["-"] * 8]


def test_markdown_has_the_same_cells() -> None:
    text = markdown([a_result(one_after_another(300, server=SERVER))], [SLO])
    assert "| level | requests | errors |" in text
    assert "| 1 | 1.000 [1.000 1.000] | 1.000 |" in text
    assert "[..] 95 % interval" in text
