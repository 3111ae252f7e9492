from __future__ import annotations

import pytest

from headrace.loadtest.change import change, student
from headrace.loadtest.metric import METRICS, Statistic

BY_NAME = {metric.name: metric for metric in METRICS}


def status(name: str, a: float, b: float, error: float = 0.001, tolerance: float = 0.05) -> str:
    of_a, of_b = Statistic(a, error, 20), Statistic(b, error, 20)
    return change(BY_NAME[name], of_a, of_b, tolerance, 0.01).status


def test_more_time_is_slower_and_more_throughput_is_faster() -> None:
    assert [status("e2e.p50", 1.0, b) for b in (1.2, 1.0, 0.8)] == ["slower", "equal", "faster"]
    assert [status("throughput", 10, b) for b in (8, 10, 12)] == ["slower", "equal", "faster"]
    assert [status("goodput", 1.0, b) for b in (0.9, 1.0)] == ["slower", "equal"]
    assert [status("errors", 0.0, b) for b in (0.1, 0.0)] == ["slower", "equal"]


def test_a_change_within_the_tolerance_counts_for_nothing() -> None:
    assert status("e2e.p50", 1.0, 1.04) == "equal"
    assert status("e2e.p50", 1.0, 1.04, tolerance=0.02) == "slower"
    assert status("e2e.p50", 1.0, 1.2, tolerance=0.3) == "equal"


def test_the_whole_interval_has_to_lie_beyond_the_tolerance() -> None:
    assert status("e2e.p50", 1.0, 1.1, error=0.01) == "slower"
    assert status("e2e.p50", 1.0, 1.1, error=0.02) == "equal"


def test_where_a_fifth_is_not_ruled_out_nothing_is_said() -> None:
    assert status("e2e.p50", 1.0, 1.0, error=0.1) == "unsure"
    assert status("goodput", 0.9, 0.9, error=0.1) == "unsure"


def test_b_beside_a_is_the_mirror_of_a_beside_b() -> None:
    a, b = Statistic(1.0, 0.02, 10), Statistic(1.3, 0.03, 20)
    there, back = (change(BY_NAME["e2e.p50"], *pair, 0.05, 0.01) for pair in ((a, b), (b, a)))
    assert (there.status, back.status) == ("slower", "faster")
    assert there.low == pytest.approx(1 / back.high)


@pytest.mark.parametrize(
    ("share", "freedom", "quantile"),
    [(0.975, 4, 2.776), (0.975, 9, 2.262), (0.9995, 9, 4.781), (0.9995, 19, 3.883)],
)
def test_the_quantiles_of_student_are_those_of_tables(
    share: float, freedom: int, quantile: float
) -> None:
    assert student(share, freedom) == pytest.approx(quantile, rel=0.004)
