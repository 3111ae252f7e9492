"""What the monitor of `headrace up` sees by itself, and how soon: nothing else watches here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deployment import Deployment
from tests.waiting import eventually


class Watched(Deployment):
    """One worker of two slots that makes ten tokens a second in each."""

    def __init__(self, folder: Path, models: Path) -> None:
        super().__init__(
            folder,
            models,
            HEADRACE_ENGINE="simulated",
            HEADRACE_SIMULATED_ALPHA_S="0.1",
            HEADRACE_SIMULATED_BETA_S="0",
            HEADRACE_MAX_SLOTS="2",
            HEADRACE_CANARY_S="5",
        )

    def changes(self, alert: str) -> list[str]:
        lines = (line for line in self.lines() if line.get("alert") == alert)
        return [str(line["message"]) for line in lines]

    def raised(self) -> list[str]:
        raised = (line for line in self.lines() if line.get("message") == "alert raised")
        return [str(line["alert"]) for line in raised]

    def raises(self, alert: str, within_s: float) -> None:
        began = time.monotonic()
        eventually(lambda: self.changes(alert)[-1:] == ["alert raised"], within_s + 5)
        assert time.monotonic() - began < within_s, alert

    def clears(self, alert: str) -> None:
        eventually(lambda: self.changes(alert)[-1:] == ["alert cleared"], 40)

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text

    def has_flown(self) -> bool:
        """Whether a canary of this monitor came back in time."""
        return 'canary_total{outcome="good"} 0' not in self.metrics()

    def slo(self) -> dict[str, object]:
        command = [sys.executable, "-m", "headrace", "slo", "--json"]
        command += ["--state-dir", str(self.state_dir)]
        found: dict[str, object] = json.loads(subprocess.check_output(command))
        return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, smollm2_models: Path) -> Iterator[Watched]:
    deployment = Watched(tmp_path_factory.mktemp("watched"), smollm2_models)
    deployment.start()
    eventually(deployment.has_flown, 20)
    yield deployment
    deployment.close()


def test_a_healthy_deployment_raises_nothing(watched: Watched) -> None:
    assert watched.raised() == []
    metrics = watched.metrics()
    for target in ("redis", "api-live", "api-ready", "workers"):
        assert f'headrace_probe_up{{target="{target}"}} 1.0' in metrics
    assert watched.slo()["alerts"] == []


def test_a_restart_wakes_nobody(watched: Watched) -> None:
    assert watched.stop() == 0
    watched.start()
    eventually(watched.has_flown, 20)
    assert watched.raised() == []


def test_latency_beyond_the_slo_is_seen_within_ten_seconds(watched: Watched) -> None:
    job_ids = [watched.submit("keep it busy", max_tokens=400) for _slot in range(4)]
    watched.raises("HeadraceLatencyHigh", within_s=10)
    eventually(lambda: watched.slo()["alerts"])
    for job_id in job_ids:
        watched.client.delete(f"/v1/jobs/{job_id}")
    watched.clears("HeadraceLatencyHigh")
    assert watched.slo()["alerts"] == []


@pytest.mark.parametrize(
    ("child", "alert", "within_s"),
    [("api", "HeadraceApiDown", 5), ("redis", "HeadraceRedisDown", 5)],
)
def test_what_no_longer_answers_is_seen_within_five_seconds(
    watched: Watched, child: str, alert: str, within_s: float
) -> None:
    group = watched.pid(child)
    os.killpg(group, signal.SIGSTOP)
    try:
        watched.raises(alert, within_s)
    finally:
        os.killpg(group, signal.SIGCONT)
    watched.clears(alert)


def test_that_no_worker_works_is_seen_within_ten_seconds(watched: Watched) -> None:
    group = watched.pid("worker-1")
    os.killpg(group, signal.SIGSTOP)
    try:
        watched.raises("HeadraceNoWorkers", within_s=10)
    finally:
        os.killpg(group, signal.SIGCONT)
    watched.clears("HeadraceNoWorkers")


def test_while_redis_is_away_the_monitor_says_so_and_no_more(watched: Watched) -> None:
    group = watched.pid("redis")
    before = len(watched.raised())
    os.killpg(group, signal.SIGSTOP)
    try:
        watched.raises("HeadraceRedisDown", within_s=5)
        assert 'headrace_probe_up{target="redis"} 0.0' in watched.metrics()
    finally:
        os.killpg(group, signal.SIGCONT)
    watched.clears("HeadraceRedisDown")
    assert watched.raised()[before:] == ["HeadraceRedisDown"]
