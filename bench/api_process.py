"""An app under gunicorn as the API runs, in a process of its own."""

from __future__ import annotations

import socket
import sys

import psutil

from bench.child import Child
from bench.up import free_port


class ApiProcess(Child):
    """Serves with one worker; `settings` are variables."""

    ready_s = 60.0

    def __init__(self, app: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"HEADRACE_PORT": str(self.port), "HEADRACE_DRAIN_S": "1"}
        command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", app]
        super().__init__(command, settings | own)

    def rss_bytes(self) -> int:
        """Of the process that answers requests."""
        (worker,) = psutil.Process(self.pid).children()
        return int(worker.memory_info().rss)

    def answers(self) -> bool:
        """Any answer will do: the bare app knows no path that both have."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                return bool(probe.recv(1))
        except OSError:
            return False
