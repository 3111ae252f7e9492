"""`headrace up` as a user runs it: a process of its own, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.jobs_client import JobsClient
from tests.waiting import eventually

READY_S = 60.0


class Deployment(JobsClient):
    """One state folder; `start` and `stop` may be called again and again, `close` at the end."""

    def __init__(self, folder: Path, models: Path, **settings: str) -> None:
        self.state_dir = folder / "state"
        self.state_dir.mkdir(parents=True)
        (self.state_dir / "models").symlink_to(models)
        self.log = folder / "up.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=120)
        self.metrics_port = free_port()
        self._environment = os.environ | self._settings() | settings
        self.process: subprocess.Popen[bytes] | None = None

    def _settings(self) -> dict[str, str]:
        return {
            "HEADRACE_LOG_FORMAT": "json",
            "HEADRACE_MONITOR_PORT": str(self.metrics_port),
            "HEADRACE_CANARY_S": "0",  # tests count jobs and steps
        }

    def start(self) -> None:
        """Returns once a first request would be served."""
        starts_before = self._ready_lines()
        self.process = self.spawn()
        eventually(lambda: self._ready_lines() > starts_before or self._has_ended(), READY_S)
        assert self.process.poll() is None, self.log.read_text()

    def spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "headrace", "up"]
        return [*command, "--state-dir", str(self.state_dir), "--port", str(self.port)]

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def close(self) -> None:
        """Stops what a test has left running."""
        if self.process is not None and not self._has_ended():
            self.stop()
        self.client.close()

    def kill(self) -> None:
        """kill -9 of everything at once."""
        assert self.process is not None
        children = ("redis", "api", "worker-1", "monitor", "scaler")
        for pid in [self.process.pid, *map(self.pid, children)]:
            os.killpg(pid, signal.SIGKILL)
        self.process.wait(60)

    @property
    def redis_url(self) -> str:
        return f"unix://{self.state_dir}/redis/redis.sock"

    def pid(self, child: str) -> int:
        """The child's newest process."""
        started = [line for line in self.lines() if line.get("message") == "started"]
        return [int(line["pid"]) for line in started if line["child"] == child][-1]

    def lines(self) -> Iterator[dict[str, Any]]:
        """The JSON lines of the log so far, but for one that is just being written."""
        for line in self.log.read_text().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                yield json.loads(line)

    def messages(self) -> list[str]:
        return [str(line["message"]) for line in self.lines()]

    def texts(self, job_ids: list[str]) -> list[str]:
        """The results of jobs, once all have succeeded."""
        jobs = [self.job(job_id, wait_s=100) for job_id in job_ids]
        assert [job["status"] for job in jobs] == ["succeeded"] * len(jobs)
        return [job["result"]["text"] for job in jobs]

    def headrace(self, *arguments: str) -> str:
        """What a command says that speaks to this deployment."""
        command = [sys.executable, "-m", "headrace", *arguments, "--url", self.url]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    def _ready_lines(self) -> int:
        return self.log.read_text().count("ready http://") if self.log.exists() else 0

    def _has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


Deploy = Callable[..., Deployment]
"""Starts one with these settings, as the fixture `deploy` does."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
