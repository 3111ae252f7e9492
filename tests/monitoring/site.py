"""Redis, API, worker and monitor without a supervisor: what is killed stays dead until `start`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

import httpx

from headrace.cli.api_address import ApiAddress
from headrace.cli.process import SessionProcess
from headrace.core.settings import Settings
from tests.chaos.api import ApiProcess
from tests.chaos.fleet import Fleet, environment_of
from tests.chaos.member import Member
from tests.chaos.server import RedisServer
from tests.deployment import free_port
from tests.jobs_client import JobsClient
from tests.waiting import eventually


class Part(Protocol):
    def start(self) -> object:
        """Returns once it works."""

    def kill(self) -> None:
        """kill -9."""


class Site(JobsClient):
    """One worker of two slots, each of which makes ten tokens a second; a canary a second.

    The monitor sends its alerts to Alertmanager as well.
    """

    def __init__(self, folder: Path) -> None:
        self.alertmanager_url = f"http://127.0.0.1:{free_port()}"
        self.redis = RedisServer(folder / "redis")
        settings = Settings(
            redis_url=f"redis://127.0.0.1:{self.redis.port}/0",
            state_dir=folder / "state",
            engine="simulated",
            max_slots=2,
            simulated_alpha_s=0.1,
            simulated_beta_s=0,
            log_format="json",
        )
        self.api = ApiProcess(folder, settings)
        self.client = httpx.Client(base_url=self.api.url, timeout=30)
        self.monitor = Monitor(folder, settings, self.api.url, self.alertmanager_url)
        self.worker = WorkerOf(Fleet(folder, self.redis.client, settings, supervised=True))

    def start(self) -> None:
        for part in (self.redis, self.api, self.worker, self.monitor):
            part.start()

    def part(self, name: str) -> Part:
        found: Part = getattr(self, name)
        return found

    def close(self) -> None:
        self.client.close()
        for part in (self.monitor, self.worker, self.api, self.redis):
            part.kill()
        self.redis.close()


class Monitor:
    def __init__(
        self, folder: Path, settings: Settings, api_url: str, alertmanager_url: str
    ) -> None:
        port = free_port()
        self._address = ApiAddress("127.0.0.1", port)
        self.url = self._address.url
        own = {
            "HEADRACE_MONITOR_PORT": str(port),
            "HEADRACE_API_URL": api_url,
            "HEADRACE_ALERTMANAGER_URL": alertmanager_url,
            "HEADRACE_CANARY_S": "1",
        }
        self._environment = {**os.environ, **environment_of(folder, settings), **own}
        self._log = folder / "monitor.log"
        self._process: SessionProcess | None = None

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "headrace.monitor"]
        with self._log.open("ab") as log:
            self._process = SessionProcess(command, self._environment, log)
        eventually(self._address.is_alive, 30)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()


class WorkerOf:
    """One worker at a time; the next one has the next number."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._member: Member | None = None

    def start(self) -> None:
        self._member = self._fleet.add()
        self._fleet.wait_until_ready(self._member)

    def kill(self) -> None:
        """Leaves to its lease what it ran."""
        if self._member is not None:
            self._member.kill()
