"""`headrace up` with a scaler, and what people want of it; `make test-slow` puts load on one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.loadtest.record import Record
from headrace.loadtest.traces.arrival import Arrival
from tests.scaled_deployment import BOUNDS, LEAST, ScaledDeployment, scaled_deployment
from tests.waiting import eventually


@pytest.fixture
def scaled(tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    with scaled_deployment(tmp_path, smollm2_models, **BOUNDS) as deployment:
        yield deployment


@pytest.fixture
def plain(tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    """Nobody has said how far its scaler may go."""
    with scaled_deployment(tmp_path, smollm2_models) as deployment:
        yield deployment


def test_a_person_fixes_the_number_and_hands_it_back(scaled: ScaledDeployment) -> None:
    eventually(lambda: scaled.leader() is not None, 20)
    assert scaled.scaler("fix", "3") == "the number of workers is fixed: 3\n"
    eventually(lambda: scaled.ready() == 3, 60)
    assert "worker" in scaled.scaler("log")

    scaled.scaler("fix", "1")
    eventually(lambda: scaled.desired() == scaled.ready() == LEAST, 60)
    assert scaled.scaler("auto") == "the policy decides\n"
    assert "auto" in scaled.scaler("status")
    assert set(scaled.drained_with()) == {0}
    assert scaled.stop() == 0


def test_without_bounds_a_scaler_says_what_it_would_want_and_keeps_what_people_want(
    plain: ScaledDeployment,
) -> None:
    trace = [Arrival(number / 10.0, 16, 20) for number in range(60)]
    with ThreadPoolExecutor(1) as pool:
        offered: Future[list[Record]] = pool.submit(plain.offer, trace)
        eventually(lambda: "is_bounded" in plain.scaler("log"), 30)
        assert plain.desired() == plain.ready() == 1
        plain.scaler("fix", "2")
        eventually(lambda: plain.ready() == 2, 60)
        offered.result()

    plain.scaler("auto")
    eventually(lambda: plain.desired() == plain.ready() == 1, 60)
    decided = plain.messages().count("scaler decided")
    ticks = plain.counts()["scaler:hold"]
    eventually(lambda: plain.counts()["scaler:hold"] >= ticks + 8, 20)
    assert plain.messages().count("scaler decided") <= decided + 1
    assert set(plain.drained_with()) == {0}
