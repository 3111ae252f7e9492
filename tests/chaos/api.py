"""The API in front of a site: the real one, under gunicorn."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

from headrace.cli.process import SessionProcess
from headrace.core.settings import Settings
from tests.chaos.fleet import environment_of
from tests.chaos.patience import until
from tests.deployment import free_port

SERVE_API = (sys.executable, "-P", "-m", "gunicorn", "-c", "python:api.gunicorn_conf")


class ApiProcess:
    """May be killed, all of it, and started again at the same address.

    gunicorn replaces a process that a failpoint has killed, and the next one has it armed again.
    """

    def __init__(self, folder: Path, settings: Settings, failpoints: str = "") -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        own = {"HEADRACE_PORT": str(port), "HEADRACE_FAILPOINTS": failpoints}
        self._environment = {**os.environ, **environment_of(folder, settings), **own}
        self._log = folder / "api.log"
        self._process: SessionProcess | None = None

    @property
    def process_deaths(self) -> int:
        """How many of gunicorn's processes were killed, by gunicorn's own word."""
        return self._log.read_text().count("was sent SIGKILL")

    def start(self) -> None:
        with self._log.open("ab") as output:
            command = [*SERVE_API, "api.app:create_app()"]
            self._process = SessionProcess(command, self._environment, output)
        until("the API answers", self._answers, 30.0)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False
