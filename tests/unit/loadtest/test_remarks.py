from __future__ import annotations

from headrace.loadtest.remarks import remarks
from tests.load import closed
from tests.reports import a_report
from tests.unit.loadtest.making import a_failure, a_result, one_after_another


def test_what_many_levels_share_is_said_once() -> None:
    levels = a_report(a_result(), a_result())["levels"]
    lines = [line for _weight, line in remarks(levels)]
    assert "levels 1, 1: counts: the server does not count headrace_requests_total" in lines


def test_problems_come_first_then_errors_then_notes() -> None:
    failing = [*one_after_another(20), a_failure(20.0, done=20.5, message="the disk is full")]
    levels = a_report(a_result(), a_result(failing, load=closed(5)))["levels"]
    (first, problem), (second, error), *rest = remarks(levels)
    assert first == "problem" and problem.startswith("level 5: not valid: concurrency")
    assert (second, error) == ("error", "level 5: 1 x http_503: the disk is full")
    assert {weight for weight, _line in rest} == {"note"}
