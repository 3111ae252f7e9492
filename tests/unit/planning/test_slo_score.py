from __future__ import annotations

from math import inf

import pytest

from headrace.loadtest.slo import Slo
from headrace.planning.slo_score import SloScore, score
from headrace.planning.trace import Trace

SLO = Slo(latency_s=1.0, tpot_s=0.1)
TRACE = Trace([0.2, 0.7, 5.0, 9.0], [8.0] * 4, [10.0] * 4, 10.0)


def judged(e2e_s: list[float], ttft_s: list[float | None]) -> SloScore:
    return score(TRACE, e2e_s, ttft_s, SLO, 20.0, [(0.0, 1), (5.0, 3)])


def test_an_answer_is_good_that_begins_and_ends_in_time() -> None:
    found = judged([2.0, 2.1, 1.5, 2.0], [1.0, 0.5, 1.1, None])
    assert found.attainment == 0.5


def test_a_second_with_two_late_requests_is_one_of_violation() -> None:
    found = judged([3.0, inf, 1.0, 1.0], [0.1] * 4)
    assert (found.violation_s, found.attainment) == (1, 0.5)


def test_a_percentile_is_infinite_where_so_many_were_never_answered() -> None:
    found = judged([1.0, inf, 1.0, 1.0], [0.1] * 4)
    assert (found.p50_s, found.p95_s) == (1.0, inf)


def test_cost_and_sizes_stand_beside() -> None:
    found = judged([1.0] * 4, [0.1] * 4)
    assert (found.worker_s, found.most_workers, found.changes) == (20.0, 3, 1)


def test_no_request_at_all_is_no_error() -> None:
    nothing = score(Trace([], [], [], 1.0), [], [], SLO, None, [])
    assert (nothing.attainment, nothing.worker_s, nothing.most_workers) == (0.0, None, None)


def test_the_limit_grows_with_the_tokens() -> None:
    assert SLO.allows(2.0, 0.5, 10) and not SLO.allows(2.0, 0.5, 9)
    assert judged([2.0] * 4, [0.1] * 4).p95_s == pytest.approx(2.0)
