from __future__ import annotations

import pytest

from headrace.loadtest.result import Result
from tests.load import closed, constant
from tests.unit.loadtest.making import SERVER, a_failure, a_record, a_result, one_after_another


def status(result: Result, name: str) -> str | None:
    return next((check.status for check in result.checks if check.name == name), None)


def test_a_level_of_a_single_user_is_valid() -> None:
    result = a_result(one_after_another(server=SERVER))
    assert result.is_valid
    assert (status(result, "little"), status(result, "concurrency")) == ("ok", "ok")


def test_an_open_loop_has_no_users_to_keep_busy() -> None:
    assert status(a_result(load=constant(1.0)), "concurrency") is None
    assert status(a_result(load=closed(1)), "concurrency") == "ok"


def test_a_job_that_went_on_without_its_caller_says_nothing_about_clocks() -> None:
    gave_up = a_failure(20.0, done=20.1, error="timeout", server=SERVER)
    assert status(a_result([*one_after_another(20, server=SERVER), gave_up]), "clocks") == "ok"


def test_clocks_that_disagree_are_a_problem() -> None:
    [problem] = a_result(one_after_another(e2e_s=0.5, server=SERVER)).problems
    assert problem.startswith("clocks: delivery p1 -200.0 ms")


def test_an_interrupted_level_is_not_held_beside_the_servers_counts() -> None:
    assert status(a_result(is_interrupted=True), "counts") is None
    assert status(a_result(), "counts") == "unchecked"


def test_degradation_is_a_multiple_of_the_first_levels_latency() -> None:
    first, later = a_result(), a_result(one_after_another(e2e_s=3.0))
    assert later.degradation(first) == pytest.approx({50: 3.0, 95: 3.0})
    assert later.degradation(a_result([a_failure(), a_failure(1.0)])) == {}


def test_what_is_unchecked_is_a_remark_and_no_problem() -> None:
    result = a_result([a_record()])
    assert result.is_valid
    assert "counts: the server does not count headrace_requests_total" in result.remarks
