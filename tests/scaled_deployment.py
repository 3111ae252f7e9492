"""A deployment whose workers a scaler keeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.jobs.counters import Counters
from headrace.core.leadership import Leader
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.loadtest.loads import Limits, TraceLoad
from headrace.loadtest.record import Record
from headrace.loadtest.traces.arrival import Arrival
from tests.deployment import Deployment
from tests.load import load_with_records
from tests.waiting import eventually

LEAST, MOST = 1, 4
TICK_S, WINDOW_S = "0.5", "6"
BOUNDS = {"HEADRACE_SCALER_MIN": str(LEAST), "HEADRACE_SCALER_MAX": str(MOST)}

SIMULATED = {
    "HEADRACE_ENGINE": "simulated",
    "HEADRACE_SIMULATED_ALPHA_S": "0.05",
    "HEADRACE_SIMULATED_BETA_S": "0",
    "HEADRACE_MAX_SLOTS": "4",
    "HEADRACE_SCALER_TICK_S": TICK_S,
    "HEADRACE_SCALER_WINDOW_S": WINDOW_S,
}


class ScaledDeployment(Deployment):
    """Unless `settings` say otherwise, workers of four slots that make 80 tokens a second."""

    def __init__(self, folder: Path, models: Path, **settings: str) -> None:
        super().__init__(folder, models, **(SIMULATED | settings))
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

    def rules(self) -> list[str]:
        """Those of its scaler, as options."""
        bounds = ["--scaler-min", str(LEAST), "--scaler-max", str(MOST)]
        return [*bounds, "--scaler-tick-s", TICK_S, "--scaler-window-s", WINDOW_S]

    def offer(self, trace: list[Arrival], timeout_s: float = 120.0) -> list[Record]:
        """Jobs at their times, whatever becomes of the others; what became of each."""
        _results, (records,) = load_with_records(
            self.url, TraceLoad(trace, 1.0), limits=Limits(0.0, None, None), timeout_s=timeout_s
        )
        return list(records)

    def drained_with(self) -> list[int]:
        """How many jobs each worker ran when it was told to end."""
        return [int(each["running"]) for each in self.lines() if each["message"] == "worker drains"]


@contextmanager
def scaled_deployment(folder: Path, models: Path, **settings: str) -> Iterator[ScaledDeployment]:
    deployment = ScaledDeployment(folder, models, **settings)
    deployment.start()
    try:
        yield deployment
    finally:
        deployment.close()
        deployment.redis.connection_pool.disconnect()
