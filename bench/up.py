"""`headrace up` for a benchmark: on a port and a Redis of its own, with its CPU time."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import httpx

from bench.child import Child


class Up(Child):
    """A worker is ready. `state_dir` may hold a prepared model; `settings` are variables."""

    ready_s = 300.0

    def __init__(self, state_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self.metrics_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=600)
        ports = {
            "HEADRACE_PORT": str(self.port),
            "HEADRACE_MONITOR_PORT": str(self.metrics_port),
            "HEADRACE_CANARY_S": "0",
        }
        command = [sys.executable, "-m", "headrace", "up", "--state-dir", str(state_dir)]
        super().__init__(command, ports | settings)

    def answers(self) -> bool:
        try:
            return bool(self.client.get("/readyz").json().get("workers", {}).get("ready"))
        except httpx.TransportError:
            return False

    def _end(self) -> None:
        self.client.close()
        super()._end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
