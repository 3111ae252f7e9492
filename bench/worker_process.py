"""`python -m worker` for a benchmark: a process of its own, with its CPU time and state."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import psutil

from bench.child import Child
from bench.server import Server
from headrace.core.roster import Roster


class WorkerProcess(Child):
    """Ready for jobs; `settings` are variables."""

    ready_s = 300.0

    def __init__(self, server: Server, state_dir: Path, **settings: str) -> None:
        self.name = f"bench-{secrets.token_hex(4)}"
        self._roster = Roster(server.client(), ttl_s=1)
        own = {
            "REDIS_URL": server.url,
            "HEADRACE_STATE_DIR": str(state_dir),
            "HEADRACE_DRAIN_S": "1",
        }
        super().__init__([sys.executable, "-m", "worker", "--name", self.name], own | settings)

    @property
    def status(self) -> str:
        """As the kernel sees it: `sleeping` where it waits."""
        return str(psutil.Process(self.pid).status())

    def answers(self) -> bool:
        return self.name in [worker.name for worker in self._roster.workers()]
