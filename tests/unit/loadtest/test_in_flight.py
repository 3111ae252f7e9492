from __future__ import annotations

import pytest

from headrace.loadtest.in_flight import InFlight


def told(*spans: tuple[float, float]) -> InFlight:
    in_flight = InFlight()
    for begin, end in spans:
        in_flight.begin(begin)
        in_flight.end(end)
    return in_flight


def test_the_mean_counts_what_overlaps_the_window() -> None:
    assert told((0, 4), (2, 6)).mean(0, 8) == pytest.approx(1.0)
    assert told((0, 4), (2, 6)).mean(2, 4) == pytest.approx(2.0)
    assert told((0, 4), (2, 6)).mean(5, 7) == pytest.approx(0.5)


def test_times_may_come_out_of_order() -> None:
    assert told((5, 6), (0, 1)).mean(0, 6) == pytest.approx(2 / 6)


def test_a_request_that_does_not_end_counts_to_the_end() -> None:
    in_flight = told()
    in_flight.begin(3)
    assert in_flight.mean(0, 6) == pytest.approx(0.5)


def test_no_time_has_no_mean() -> None:
    assert told((0, 1)).mean(1, 1) == 0.0
