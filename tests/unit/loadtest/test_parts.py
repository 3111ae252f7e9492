from __future__ import annotations

import pytest

from headrace.loadtest.parts import by_turn, by_window
from headrace.loadtest.ramp import Ramp
from tests.load import closed
from tests.unit.loadtest.making import SLO, a_failure, a_measurement, a_record, one_after_another


def test_turns_have_figures_of_their_own() -> None:
    records = [
        a_record(float(number), 0.2 * turn, turn=turn, input_tokens=30 * turn, cached_tokens=15)
        for number, turn in enumerate((1, 2, 1, 2))
    ]
    turns = by_turn(a_measurement([*records, a_failure(4.0, done=4.1, turn=2)]), [SLO])
    assert list(turns) == [1, 2]
    assert (turns[1].requests, turns[2].requests, turns[2].errors) == (2, 3, 1)
    assert turns[2].e2e_s == pytest.approx({50: 0.4, 95: 0.4})
    assert (turns[1].input_tokens, turns[2].input_tokens) == (30, 60)
    assert (turns[1].cached_share, turns[2].cached_share) == (0.5, 0.25)
    assert turns[2].good == {"slo": pytest.approx(2 / 3)}


def test_single_requests_have_no_turns_and_a_steady_load_no_windows() -> None:
    measurement = a_measurement(one_after_another())
    assert (by_turn(measurement, [SLO]), by_window(measurement, [SLO])) == ({}, ())


def test_the_windows_of_a_ramp_cut_it_into_equal_parts_that_add_up() -> None:
    load = closed(4, ramp=Ramp(1, after_s=5.0, seconds=20.0))
    measurement = a_measurement(one_after_another(20), load=load)
    windows = by_window(measurement, [SLO])
    assert [(each.begin_s, each.end_s) for each in windows] == [(0, 5), (5, 10), (10, 15), (15, 20)]
    assert [each.load for each in windows] == [1, 2, 3, 4]
    assert sum(each.part.requests for each in windows) == len(measurement.counted)
    completed = sum(each.throughput * (each.end_s - each.begin_s) for each in windows)
    assert completed == pytest.approx(len(measurement.completions))
    assert [each.in_flight for each in windows] == pytest.approx([1, 1, 1, 1])
