"""The load of a load test, as it is replayed."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.core.step_sums import NAMES
from headrace.loadtest.saved import SavedLevel, SavedLoad, SavedRecords, SavedReport
from headrace.loadtest.slo import Slo
from headrace.planning.tested import recording_of

FLEET: dict[str, Any] = {
    "slots": 8,
    "engine": "SimulatedEngine",
    "cold_starts_s": [2.0],
    "steps": dict.fromkeys(NAMES, 5.0),
    "at_s": [-1.0, 1.0, 2.0],
    "waiting": [0, 3, 0],
    "running": [0, 8, 0],
    "workers": [1, 1, 2],
    "starting": [0, 1, 0],
}


def a_level(began_s: float, fleet: dict[str, Any] | None = FLEET) -> SavedLevel:
    records = SavedRecords(
        at_s=(-1.0, 0.5, 1.0),
        measured=(False, True, True),
        e2e_s=(0.5, None, 3.0),
        ttft_s=(0.1, None, 0.2),
        tpot_s=(None, None, None),
        input_tokens=(32, None, 30),
        output_tokens=(4, 0, 16),
    )
    of_load = {"prompt_tokens": 32, "max_tokens": 16, "concurrency": 2}
    return SavedLevel("2", "closed", True, (), began_s, 4.0, None, None, fleet, records, **of_load)


def a_report(*levels: SavedLevel) -> SavedReport:
    load = SavedLoad(1.0, 4.0, None, 60.0, 0.0, None, False, 0, Slo(1.0, 0.15))
    return SavedReport("0", "2026-11-24", "http://127.0.0.1:1", "stream", "m", {}, load, levels)


def test_levels_come_one_after_another() -> None:
    recording = recording_of(a_report(a_level(1.0), a_level(11.0)))
    assert list(recording.trace.arrivals) == [0.0, 1.5, 2.0, 10.0, 11.5, 12.0]
    assert recording.trace.seconds == 15.0


def test_what_failed_was_never_answered() -> None:
    recording = recording_of(a_report(a_level(1.0)))
    assert list(recording.e2e_s) == [0.5, inf, 3.0]
    assert list(recording.ttft_s) == [0.1, None, 0.2]
    assert list(recording.trace.prompts) == [32, 32, 30]
    assert list(recording.trace.outputs) == [4, 1, 16]


def test_workers_that_start_cost_as_well() -> None:
    recording = recording_of(a_report(a_level(1.0)))
    assert recording.sizes == [(0.0, 1), (2.0, 2)]


def test_the_steps_of_all_levels_add_up() -> None:
    recording = recording_of(a_report(a_level(1.0), a_level(11.0)))
    assert (recording.steps.n, recording.slots) == (10, 8)


def test_a_report_without_a_fleet_says_too_little() -> None:
    with pytest.raises(InvalidRequest, match="queue and workers"):
        recording_of(a_report(a_level(1.0, fleet=None)))
