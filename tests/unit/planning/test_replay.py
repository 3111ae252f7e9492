"""Recorded loads through other policies, in cases that can be counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.core.step_sums import StepSums
from headrace.loadtest.slo import Slo
from headrace.planning.replay import WhatIf, happened, replay
from scaler.rules import Rules
from tests.unit.planning.recordings import STEP_S, a_recording

RULES = Rules(min_workers=1, max_workers=4, slots=4, slo_latency_s=1.0, slo_tpot_s=0.15)


def what_if(**changes: Any) -> WhatIf:
    names = {"every_s", "cold_start_s", "speed"}
    asked = {name: changes.pop(name) for name in names & changes.keys()}
    return WhatIf(replace(RULES, **changes), **asked)


def test_what_happened_is_what_was_recorded() -> None:
    found = happened(a_recording(), Slo(1.0, 0.15))
    assert (found.worker_s, found.attainment, found.p95_s) == (100.0, 1.0, 1.0)


def test_a_fleet_that_may_not_change_costs_what_it_did() -> None:
    found = replay(a_recording(), what_if(min_workers=2, max_workers=2))
    assert found.worker_s == pytest.approx(100.0)
    assert found.p50_s == pytest.approx(10 * STEP_S)


def test_a_policy_that_needs_less_takes_workers_away() -> None:
    found = replay(a_recording(count=400), what_if())
    assert found.worker_s is not None and found.worker_s < 2 * 200
    assert found.attainment > 0.95


def test_more_load_costs_more() -> None:
    calm = replay(a_recording(count=600), what_if())
    busy = replay(a_recording(count=600, gap_s=0.5), what_if(speed=8.0))
    assert calm.most_workers is not None and busy.most_workers is not None
    assert busy.most_workers > calm.most_workers
    assert busy.attainment < calm.attainment


def test_a_longer_cold_start_is_felt() -> None:
    flood = a_recording(count=600, gap_s=0.05, sizes=[(0.0, 1)])
    quick = replay(flood, what_if(cold_start_s=1.0))
    slow = replay(flood, what_if(cold_start_s=20.0))
    assert quick.p95_s < slow.p95_s


def test_the_cold_starts_that_were_measured_are_taken_in_turn() -> None:
    flood = a_recording(count=600, gap_s=0.05, sizes=[(0.0, 1)], cold_starts_s=[20.0, 20.0])
    assert replay(flood, what_if()).p95_s == replay(flood, what_if(cold_start_s=20.0)).p95_s


def test_another_policy_may_be_asked() -> None:
    by_depth = replay(a_recording(), what_if(policy="queue-depth", jobs_per_worker=1.0))
    by_slo = replay(a_recording(), what_if())
    assert by_depth.most_workers == 3  # who wants a worker for each job, even for a moment's third
    assert by_slo.most_workers == 2


def test_a_record_without_steps_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="a test: fewer than 20 steps"):
        replay(a_recording(steps=StepSums()), what_if())
