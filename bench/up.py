"""`headrace up` for a benchmark: on a port and a Redis of its own, with its CPU time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

READY_S = 300


class Up:
    """Serving when made. `state_dir` may hold a prepared model; `settings` are variables."""

    def __init__(self, state_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self.metrics_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=600)
        ports = {
            "HEADRACE_PORT": str(self.port),
            "HEADRACE_MONITOR_PORT": str(self.metrics_port),
        }
        command = [sys.executable, "-m", "headrace", "up", "--state-dir", str(state_dir)]
        self._process = subprocess.Popen(
            command,
            env=os.environ | ports | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_ready()

    def cpu_s(self) -> float:
        """CPU seconds that its live processes have used so far."""
        root = psutil.Process(self._process.pid)
        times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def close(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + READY_S
        while self._process.poll() is None and time.monotonic() < until:
            try:
                if self.client.get("/readyz").json().get("workers", {}).get("ready"):
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        self._process.kill()
        sys.exit("headrace up did not become ready")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
