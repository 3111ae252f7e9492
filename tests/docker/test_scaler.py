"""A scaler on this machine, and a project whose workers come and go with the load."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from headrace.core import events
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.decision_log import decisions
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.events import Completion
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.settings import Settings
from headrace.core.types import JobState
from scaler.compose_crew import host_of
from tests.deployment import free_port
from tests.docker.compose import ROOT, START_S, Compose, docker, inspect
from tests.waiting import eventually

MOST = 3
RATE = 10.0
SHRINK_S = 180.0
UNTOUCHED = ("redis", "api", "monitor", "worker")


class ScaledCompose(Compose):
    """Workers of four slots that make 80 tokens a second: four jobs of 20 tokens."""

    def __init__(self, log: Path) -> None:
        redis_port = str(free_port())
        super().__init__(
            COMPOSE_FILE="docker-compose.yml:docker-compose.scaler.yml",
            REDIS_PORT=redis_port,
            HEADRACE_WORKERS="1",
            HEADRACE_THREADS="1",
            HEADRACE_ENGINE="simulated",
            HEADRACE_SIMULATED_ALPHA_S="0.05",
            HEADRACE_SIMULATED_BETA_S="0",
            HEADRACE_MAX_SLOTS="4",
            HEADRACE_SCALER_TICK_S="1",
            HEADRACE_SCALER_WINDOW_S="6",
        )
        self._log = log
        self._redis_url = f"redis://127.0.0.1:{redis_port}/0"
        self.redis: Client = connect(self._redis_url, API_TIMEOUT_S)
        self.fleet = DesiredFleet(self.redis, Settings())
        self._since = str(time.time())

    def start_scaler(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "headrace", "scaler", "--scaler-max", str(MOST)]
        command += ["--redis-url", self._redis_url]
        command += ["--scaler-fleet", "compose", "--scaler-compose-project", self._project]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def submit_until(self, enough: Event) -> list[str]:
        ids = []
        while not enough.wait(1 / RATE):
            ids.append(self.submit(f"Say {len(ids)}.", max_tokens=20))
        return ids

    def records(self, job_ids: list[str]) -> list[Completion]:
        """The records of these jobs, once all have ended."""

        def found() -> list[Completion]:
            return [each for each in events.completions(self.redis, 10_000) if each.job_id in ids]

        ids = set(job_ids)
        eventually(lambda: len(found()) >= len(ids), 60)
        return found()

    def starts(self, *services: str) -> dict[str, str]:
        """When each container of the services was started."""
        containers = [each for service in services for each in self.containers(service)]
        return {each: inspect(each)["State"]["StartedAt"] for each in containers}

    def told_to_end(self) -> dict[str, float]:
        """When each container was, by its worker's host."""
        project = f"label=com.docker.compose.project={self._project}"
        told = docker(
            *("events", "--since", self._since, "--until", str(time.time())),
            *("--filter", project, "--filter", "event=kill", "--format", "{{.ID}} {{.TimeNano}}"),
        )
        return {line[:12]: int(line.split()[1]) / 1e9 for line in told.splitlines()}


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledCompose]:
    compose = ScaledCompose(tmp_path_factory.mktemp("scaler") / "scaler.log")
    compose.build()
    try:
        compose.up()
        yield compose
    finally:
        compose.redis.connection_pool.disconnect()
        compose.down()


@pytest.fixture(autouse=True)
def scaler(scaled: ScaledCompose) -> Iterator[None]:
    process = scaled.start_scaler()
    yield
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def require_no_job_noticed(scaled: ScaledCompose, ids: list[str]) -> None:
    """Each ended once, in the first try, before its worker was told to end."""
    ended = scaled.records(ids)
    assert sorted(each.job_id for each in ended) == sorted(ids)
    assert {each.state for each in ended} == {JobState.SUCCEEDED}
    reports = [each.report for each in ended if each.report]
    assert [report.attempt for report in reports] == [1] * len(ids)
    assert "redelivered" not in Counters(scaled.redis, Settings()).read()

    told_to_end = scaled.told_to_end()
    assert told_to_end
    for report, each in zip(reports, ended, strict=True):
        host = host_of(report.worker)
        assert (each.timings.committed or 0) < told_to_end.get(str(host), time.time())


def test_load_brings_containers_and_its_end_takes_them_and_no_job_notices(
    scaled: ScaledCompose,
) -> None:
    from_the_start = scaled.starts(*UNTOUCHED)
    enough = Event()
    with ThreadPoolExecutor(1) as pool:
        submitted = pool.submit(scaled.submit_until, enough)
        try:
            eventually(lambda: scaled.ready_workers() == MOST, START_S)
        finally:
            enough.set()
    ids = submitted.result()
    eventually(lambda: len(scaled.containers("worker")) == 1, SHRINK_S)

    require_no_job_noticed(scaled, ids)
    assert scaled.starts(*UNTOUCHED) == from_the_start
    sizes = [record.size for record in decisions(scaled.redis, 5000) if record.size]
    assert (min(sizes), max(sizes), sizes[-1]) == (1, MOST, 1)
    assert not scaled.redis.exists(keys.DEATHS)


def test_busy_workers_that_are_too_many_are_called_back_or_finish(scaled: ScaledCompose) -> None:
    scaled.fleet.fix(MOST)
    eventually(lambda: scaled.ready_workers() == MOST, START_S)
    grown = scaled.starts("worker")
    ids = [scaled.submit(f"Say {number}.", max_tokens=400) for number in range(4 * MOST)]
    eventually(lambda: {scaled.job(each)["status"] for each in ids} == {"running"}, 30)

    scaled.fleet.fix(1)
    eventually(lambda: scaled.redis.scard(keys.DRAINING) == MOST - 1)
    scaled.fleet.fix(MOST)
    eventually(lambda: scaled.redis.scard(keys.DRAINING) == 0)
    scaled.fleet.fix(1)
    assert scaled.starts("worker") == grown
    eventually(lambda: len(scaled.containers("worker")) == 1, SHRINK_S)

    require_no_job_noticed(scaled, ids)
    assert grown.items() >= scaled.starts("worker").items()
    eventually(lambda: not scaled.redis.exists(keys.DISMISSED, keys.SURPLUS, keys.DRAINING))
