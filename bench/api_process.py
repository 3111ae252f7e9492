"""An app under gunicorn as the API runs, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import psutil

from bench.up import free_port

READY_S = 60.0


class ApiProcess:
    """Serving inside its `with` block, with one worker; `settings` are variables.

    Raises `RuntimeError` when it does not begin to.
    """

    def __init__(self, app: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", app]
        self._settings = settings | {"HEADRACE_PORT": str(self.port), "HEADRACE_DRAIN_S": "1"}

    def rss_bytes(self) -> int:
        """Of the process that answers requests."""
        (worker,) = psutil.Process(self._process.pid).children()
        return int(worker.memory_info().rss)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=os.environ | self._settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self._end()
                raise RuntimeError(f"it does not serve: {' '.join(self._command)}")
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _answers(self) -> bool:
        """Any answer will do: the bare app knows no path that both have."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                return bool(probe.recv(1))
        except OSError:
            return False

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()
