"""`python -m worker` for a benchmark: a process of its own, with its CPU time and state."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bench.server import Server
from headrace.core.roster import Roster

READY_S = 300.0
DRAIN_S = 10.0


class WorkerProcess:
    """Ready inside its `with` block; `settings` are variables. Its log goes to `state_dir`.

    Raises `RuntimeError`, with the end of its log, when it does not become ready.
    """

    def __init__(self, server: Server, state_dir: Path, **settings: str) -> None:
        self.name = f"bench-{secrets.token_hex(4)}"
        self._roster = Roster(server.client(), ttl_s=1)
        self._environment = (
            os.environ
            | {
                "REDIS_URL": server.url,
                "HEADRACE_STATE_DIR": str(state_dir),
                "HEADRACE_DRAIN_S": "1",
            }
            | settings
        )
        self._log = state_dir / "worker.log"

    @property
    def status(self) -> str:
        """As the kernel sees it: `sleeping` where it waits."""
        return psutil.Process(self._process.pid).status()

    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", "--name", self.name],
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + READY_S
        while self.name not in [worker.name for worker in self._roster.workers()]:
            if self._process.poll() is not None or time.monotonic() > until:
                self._end()
                lines = self._log.read_text(errors="replace").splitlines()[-5:]
                raise RuntimeError("\n".join(["the worker did not become ready", *lines]))
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
