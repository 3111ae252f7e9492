"""`headrace up` with a scaler: more load, more workers; less load, fewer; and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.core import events
from headrace.core.decision_log import decisions
from headrace.core.jobs import keys
from headrace.core.types import JobState
from headrace.loadtest.record import Record
from headrace.loadtest.traces.arrival import Arrival
from tests.scaled_deployment import BOUNDS, LEAST, MOST, ScaledDeployment, scaled_deployment
from tests.waiting import eventually

CALM, BUSY = 1.0, 10.0
CALM_S, BUSY_S, AFTERWARDS_S = 6.0, 30.0, 60.0


@pytest.fixture
def scaled(tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    with scaled_deployment(tmp_path, smollm2_models, **BOUNDS) as deployment:
        yield deployment


def a_step() -> list[Arrival]:
    """A calm rate, ten times as much, and calm again."""
    calm = [number / CALM for number in range(int(CALM_S * CALM))]
    busy = [CALM_S + number / BUSY for number in range(int(BUSY_S * BUSY))]
    after = [CALM_S + BUSY_S + number / CALM for number in range(int(AFTERWARDS_S * CALM))]
    return [Arrival(offset_s, 16, 20) for offset_s in (*calm, *busy, *after)]


def test_a_step_of_load_brings_workers_and_its_end_takes_them_and_no_job_notices(
    scaled: ScaledDeployment,
) -> None:
    trace = a_step()
    with ThreadPoolExecutor(1) as pool:
        offered: Future[list[Record]] = pool.submit(scaled.offer, trace)
        eventually(lambda: scaled.ready() >= 2, 60)
        scaled.kill_scaler()
        eventually(lambda: scaled.ready() >= 3, 60)
        eventually(lambda: scaled.accepted() > CALM_S * CALM + BUSY_S * BUSY, 60)
        scaled.kill_scaler()
        eventually(lambda: scaled.desired() == scaled.ready() == LEAST, 90)
        records = offered.result()

    assert [record.error for record in records] == [None] * len(trace)
    ended = events.completions(scaled.redis, 10_000)
    assert len(ended) == len({each.job_id for each in ended}) == scaled.accepted() >= len(trace)
    assert {each.state for each in ended} == {JobState.SUCCEEDED}
    assert {each.report.attempt for each in ended if each.report} == {1}
    assert "redelivered" not in scaled.counts()
    assert set(scaled.drained_with()) == {0}
    sizes = [record.size for record in decisions(scaled.redis, 5000)]
    assert {size for size in sizes if size is not None} <= set(range(LEAST, MOST + 1))
    assert not scaled.redis.smembers(keys.DEATHS)
