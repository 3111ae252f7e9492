"""`headrace up` with a scaler: more load, more workers; less load, fewer; and nobody notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.core import events
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.decision_log import decisions
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.leadership import Leader
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import JobState
from headrace.loadtest.loads import Limits, TraceLoad
from headrace.loadtest.record import Record
from headrace.loadtest.trace import Arrival
from tests.deployment import Deployment
from tests.load import load_with_records
from tests.waiting import eventually

LEAST, MOST = 1, 4
CALM, BUSY = 1.0, 10.0
CALM_S, BUSY_S, AFTERWARDS_S = 6.0, 30.0, 60.0


BOUNDS = {"HEADRACE_SCALER_MIN": str(LEAST), "HEADRACE_SCALER_MAX": str(MOST)}


class ScaledDeployment(Deployment):
    """Workers of four slots that make 80 tokens a second: four jobs of 20 tokens."""

    def __init__(self, folder: Path, models: Path, **bounds: str) -> None:
        super().__init__(
            folder,
            models,
            HEADRACE_ENGINE="simulated",
            HEADRACE_SIMULATED_ALPHA_S="0.05",
            HEADRACE_SIMULATED_BETA_S="0",
            HEADRACE_MAX_SLOTS="4",
            HEADRACE_SCALER_TICK_S="0.5",
            HEADRACE_SCALER_WINDOW_S="6",
            **bounds,
        )
        self.redis: Client = connect(f"unix://{self.state_dir}/redis/redis.sock", API_TIMEOUT_S)
        self.settings = Settings(state_dir=self.state_dir)

    def desired(self) -> int:
        return DesiredFleet(self.redis, self.settings).read().size or 0

    def ready(self) -> int:
        workers = Roster(self.redis, ttl_s=60).workers()
        return sum(worker.activity == "ready" for worker in workers)

    def counts(self) -> dict[str, int]:
        return Counters(self.redis, self.settings).read()

    def accepted(self) -> int:
        return self.counts().get("accepted", 0)

    def leader(self) -> Leader | None:
        return Leader.decode(self.redis.hgetall(keys.SCALER))

    def kill_scaler(self) -> None:
        """kill -9; returns once a successor leads."""
        leader, size = self.leader(), self.ready()
        assert leader is not None
        os.killpg(self.pid("scaler"), signal.SIGKILL)
        assert self.ready() == size
        eventually(lambda: self.leader() != leader and self._leads_anew(leader.fence), 20)

    def _leads_anew(self, fence: int) -> bool:
        leader = self.leader()
        return leader is not None and leader.fence > fence

    def scaler(self, *arguments: str) -> str:
        """What `headrace scaler …` says."""
        command = [sys.executable, "-m", "headrace", "scaler", *arguments]
        command += ["--state-dir", str(self.state_dir)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    def drained_with(self) -> list[int]:
        """How many jobs each worker ran when it was told to end."""
        return [int(each["running"]) for each in self.lines() if each["message"] == "worker drains"]


@pytest.fixture
def scaled(tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    deployment = ScaledDeployment(tmp_path, smollm2_models, **BOUNDS)
    deployment.start()
    yield deployment
    deployment.close()
    deployment.redis.connection_pool.disconnect()


@pytest.fixture
def plain(tmp_path: Path, smollm2_models: Path) -> Iterator[ScaledDeployment]:
    """Nobody has said how far its scaler may go."""
    deployment = ScaledDeployment(tmp_path, smollm2_models)
    deployment.start()
    yield deployment
    deployment.close()
    deployment.redis.connection_pool.disconnect()


def a_step() -> list[Arrival]:
    """A calm rate, ten times as much, and calm again."""
    calm = [number / CALM for number in range(int(CALM_S * CALM))]
    busy = [CALM_S + number / BUSY for number in range(int(BUSY_S * BUSY))]
    after = [CALM_S + BUSY_S + number / CALM for number in range(int(AFTERWARDS_S * CALM))]
    return [Arrival(offset_s, 16, 20) for offset_s in (*calm, *busy, *after)]


def offer(url: str, trace: list[Arrival]) -> list[Record]:
    _results, (records,) = load_with_records(
        url, TraceLoad(trace, 1.0), limits=Limits(0.0, None, None), timeout_s=120.0
    )
    return list(records)


def test_a_step_of_load_brings_workers_and_its_end_takes_them_and_no_job_notices(
    scaled: ScaledDeployment,
) -> None:
    trace = a_step()
    with ThreadPoolExecutor(1) as pool:
        offered: Future[list[Record]] = pool.submit(offer, scaled.url, trace)
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
    trace = [Arrival(number / BUSY, 16, 20) for number in range(int(6 * BUSY))]
    with ThreadPoolExecutor(1) as pool:
        offered: Future[list[Record]] = pool.submit(offer, plain.url, trace)
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
