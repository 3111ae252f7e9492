"""A run that really was, through the policy that ran: it costs what it did cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.loadtest.traces.arrival import Arrival
from tests.scaled_deployment import BOUNDS, LEAST, ScaledDeployment, scaled_deployment
from tests.waiting import eventually

CALM, BUSY = 1.0, 10.0
SPANS = ((CALM, 8.0), (BUSY, 30.0), (CALM, 40.0), (BUSY, 15.0), (CALM, 30.0))


@pytest.fixture
def scaled(tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    with scaled_deployment(tmp_path, smollm2_models, **BOUNDS) as deployment:
        yield deployment


def two_bursts() -> list[Arrival]:
    begin, arrivals = 0.0, []
    for rate, seconds in SPANS:
        arrivals += [Arrival(begin + n / rate, 16, 20) for n in range(int(rate * seconds))]
        begin += seconds
    return arrivals


def test_a_replay_costs_what_the_day_did(scaled: ScaledDeployment) -> None:
    records = scaled.offer(two_bursts())
    assert [record.error for record in records] == [None] * len(records)
    eventually(lambda: scaled.desired() == scaled.ready() == LEAST, 90)

    settings = scaled.rules()
    found = json.loads(scaled.scaler("replay", "--policy", "backlog-slo", "--json", *settings))
    happened, replayed = found["rows"]
    assert happened["most_workers"] > LEAST
    assert replayed["worker_s"] == pytest.approx(happened["worker_s"], rel=0.1)
    assert replayed["attainment"] == pytest.approx(happened["attainment"], abs=0.1)
