from __future__ import annotations

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.assertions import Assertion, failures, require_levels
from headrace.loadtest.repeats import RepeatedLevel
from headrace.loadtest.result import Result
from tests.load import closed, constant
from tests.unit.loadtest.making import SERVER, a_failure, a_result, one_after_another

GOOD = a_result(one_after_another(20, server=SERVER))


def once(result: Result) -> RepeatedLevel:
    return RepeatedLevel(result.load, [result], [result])


def holds(text: str) -> bool:
    return Assertion.parse(text).check(once(GOOD)) is None


@pytest.mark.parametrize(
    "text",
    [
        "p50<1.1",
        "p95 <= 1.0001 @1",
        "e2e.p90>0.9",
        "ttft.p95<0.6",
        "tpot.p50<0.2@1",
        "throughput>0.9",
        "output_tokens_per_s>3.9",
        "input_tokens_per_s>=31",
        "errors<=0",
        "goodput>=0.99",
        "goodput_per_s>0.9",
        "batch_size>=3",
        "queue_wait.p95<=0.2",
        "tokenize.p50<0.2",
        "degradation.p95<=1",
    ],
)
def test_what_is_measured_can_be_demanded(text: str) -> None:
    assert holds(text)


def test_an_assertion_that_does_not_hold_says_what_was_measured() -> None:
    failure = Assertion.parse("throughput>10").check(once(GOOD))
    assert failure is not None
    assert (failure.text, failure.level, failure.reason) == ("throughput>10", "1", "measured 1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p95",
        "p95<",
        "p95<fast",
        "p95=1",
        "p97<1",
        "speed>1",
        "ttft<1",
        "errors.p50<1",
        "p95<1@",
    ],
)
def test_what_is_no_assertion_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--assert"):
        Assertion.parse(text)


def test_a_level_that_is_not_run_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="the levels are 1, 5"):
        require_levels([Assertion.parse("p95<1@15")], [closed(1), closed(5)])
    require_levels([Assertion.parse("p95<1@2.5")], [constant(2.5)])


def test_without_a_level_it_must_hold_on_all() -> None:
    results = [GOOD, a_result(one_after_another(20, e2e_s=2.0))]
    assert [failure.reason for failure in failures([Assertion.parse("p95<1.5")], results)] == [
        "measured 2"
    ]


def test_nothing_holds_on_a_level_that_is_not_valid() -> None:
    interrupted = a_result(is_interrupted=True)
    failure = Assertion.parse("errors<=0").check(once(interrupted))
    assert failure is not None and "the level is not valid: complete" in failure.reason


def test_an_unsupported_p99_does_not_hold() -> None:
    failure = Assertion.parse("p99<100").check(once(GOOD))
    assert failure is not None and failure.reason == "too few answers for this percentile"


def test_what_was_not_measured_does_not_hold() -> None:
    peer = a_result()
    reasons = [
        found.reason
        for text in ("queue_wait.p50<9", "batch_size>0")
        if (found := Assertion.parse(text).check(once(peer)))
    ]
    assert reasons == ["was not measured"] * 2


def test_nothing_holds_where_no_request_succeeded() -> None:
    failed = a_result([a_failure(float(number)) for number in range(20)])
    found = Assertion.parse("throughput>=0").check(once(failed))
    assert found is not None
    assert "none of 20 requests succeeded" in found.reason


def test_a_level_that_was_left_out_does_not_hold() -> None:
    [failure] = failures([Assertion.parse("p95<9@5")], [GOOD])
    assert failure.reason == "did not run"
