"""A real model on two cores: torch keeps both of them busy with one worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.loadtest.record import Record
from headrace.loadtest.traces.arrival import Arrival
from tests.scaled_deployment import ScaledDeployment, scaled_deployment
from tests.waiting import eventually

JOBS, PROMPT, OUTPUT = 450, 28, 64
FLOOD = [Arrival(number / 200, PROMPT, OUTPUT) for number in range(JOBS)]

SETTINGS = {
    "HEADRACE_ENGINE": "torch",
    "HEADRACE_MAX_SLOTS": "32",
    "HEADRACE_SCALER_MAX": "2",
    "HEADRACE_SCALER_TICK_S": "2",
    "HEADRACE_SCALER_WINDOW_S": "60",
}


@pytest.fixture
def two_cores() -> Iterator[None]:
    """However many this machine has: what is started meanwhile may use no more."""
    if sys.platform != "linux":
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[:2])
    yield
    os.sched_setaffinity(0, all_cores)


@pytest.fixture
def shared(two_cores: None, tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    with scaled_deployment(tmp_path, smollm2_models, **SETTINGS) as deployment:
        yield deployment


def test_a_second_worker_on_cores_that_one_fills_is_found_of_no_use_and_taken_back(
    shared: ScaledDeployment,
) -> None:
    with ThreadPoolExecutor(1) as pool:
        offered: Future[list[Record]] = pool.submit(shared.offer, FLOOD, 300.0)
        eventually(lambda: shared.ready() == 2, 90)
        eventually(lambda: shared.desired() == 1, 120)
        assert "more workers than 1 raised the throughput too little" in shared.scaler("log")
        records = offered.result()

    assert shared.desired() == shared.ready() == 1
    assert [record.error for record in records] == [None] * JOBS
    assert set(shared.drained_with()) == {0}
    assert "redelivered" not in shared.counts()
