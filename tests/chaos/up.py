"""A whole `headrace up` in place of a site's Redis: supervisor, Redis, API, workers and monitor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

from headrace.cli.embedded_redis import socket_path_of
from headrace.core.connection import WORKER_TIMEOUT_S, connect
from headrace.core.settings import Settings, as_environment
from tests.chaos.fleet import CHECKOUT
from tests.chaos.patience import until
from tests.chaos.up_child import PORT
from tests.deployment import free_port

READY_S = 60.0
END_S = 40.0


class Up:
    """Offers what a site wants of its server: `client`, `port`, `start` and `close`.

    `output` is where it writes, by default into `up.log` of its folder. May be started again after
    its end, on the same state folder.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        *,
        output: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self.log = folder / "up.log"
        self.settings = settings.model_copy(
            update={"state_dir": folder / "state", "port": free_port(), "monitor_port": free_port()}
        )
        self.url = f"http://127.0.0.1:{self.settings.port}"
        (folder / "state" / "redis").mkdir(parents=True)
        socket_path = socket_path_of(folder / "state" / "redis")
        self.client = connect(f"unix://{socket_path}", WORKER_TIMEOUT_S)
        own = {PORT: str(self.port), "PYTHONPATH": str(CHECKOUT)}
        self._environment = {**os.environ, **as_environment(self.settings), **own}
        self._environment |= environment or {}
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once all workers are ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.up_child", "up"],
                stdin=subprocess.DEVNULL,
                stdout=self._output or log,
                stderr=self._output or log,
                env=self._environment,
                start_new_session=True,
            )
        until("the deployment is ready", self._is_ready, READY_S)

    @property
    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        if self._process is None or self._process.poll() is not None:
            return []
        supervisor = psutil.Process(self._process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def stop_all_at_once(self) -> int:
        """Sends SIGTERM to every process, as systemd's default does; returns the exit code."""
        process = self._process
        assert process is not None
        for each in self.processes:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGTERM)
        until("the deployment ends", lambda: process.poll() is not None, END_S)
        return int(process.returncode)

    def close(self) -> None:
        """Kills what still runs."""
        for each in self.processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        if self._process is not None:
            self._process.wait()
        self.client.connection_pool.disconnect()

    def _is_ready(self) -> bool:
        try:
            answer: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=5.0).json()
        except (httpx.TransportError, ValueError):
            return False
        return answer.get("workers", {}).get("ready", 0) >= self.settings.workers
