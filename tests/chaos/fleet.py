"""The fleet: worker processes, and somebody who notices when one dies."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

import headrace
from headrace.cli.supervisor import TICK_S
from headrace.cli.worker_release import WorkerRelease
from headrace.core.connection import Client
from headrace.core.jobs import rq_adapter
from headrace.core.roster import Roster
from headrace.core.settings import Settings, as_environment
from tests.chaos.member import Death, Member
from tests.chaos.patience import until
from tests.chaos.worker import LOGS

READY_S = 30.0
REDELIVERED = "job redelivered: its worker died"
CHECKOUT = Path(headrace.__file__).parents[1]


class Fleet(threading.Thread):
    """Looks at its members as often as the supervisor does.

    `supervised`: a dead worker's jobs are taken back at once, as `headrace up` does; else they
    wait until a live worker finds that their leases ran out.
    """

    def __init__(
        self, folder: Path, redis: Client, settings: Settings, *, supervised: bool
    ) -> None:
        super().__init__(name="fleet", daemon=True)
        self._redis = redis
        self._environment = environment_of(folder, settings)
        self._folder = folder
        self._roster = Roster(redis, settings.lease_s)
        self._release: Callable[[str], None] = (
            WorkerRelease(redis, settings) if supervised else lambda worker: None
        )
        self._members: list[Member] = []
        self._numbers = itertools.count(1)
        self._stopped = threading.Event()

    def add(self, *, failpoints: str = "", restarts: bool = False) -> Member:
        """A worker that is starting. Called from the main thread, as `SessionProcess` wants."""
        member = Member(
            f"worker-{next(self._numbers)}",
            self._environment | {"HEADRACE_FAILPOINTS": failpoints},
            restarts=restarts,
            bury=self._bury,
        )
        member.start()
        self._members.append(member)
        return member

    def wait_until_ready(self, *members: Member) -> None:
        for member in members or self._members:
            until(f"{member.run_name} is ready", lambda m=member: self._is_ready(m), READY_S)

    @property
    def deaths(self) -> list[Death]:
        return [death for member in self._members for death in member.deaths]

    def log_of(self, worker: str) -> list[dict[str, Any]]:
        """The lines of a worker's log; none before it has one."""
        path = self._folder / f"{worker}.log"
        return log_lines(path) if path.exists() else []

    def engine_deaths(self, worker: str) -> list[float]:
        """When an engine of the worker died, in seconds since the epoch."""
        return [
            datetime.fromisoformat(line["@timestamp"]).timestamp()
            for line in self.log_of(worker)
            if line["message"] == "engine died"
        ]

    def redelivered(self, worker: str) -> list[str]:
        """The jobs that a worker gave back because its engine died."""
        lines = self.log_of(worker)
        return [line["job_id"] for line in lines if line["message"] == REDELIVERED]

    def run(self) -> None:
        while not self._stopped.wait(TICK_S):
            for member in list(self._members):
                member.look()

    def close(self) -> None:
        """Kills what still runs."""
        self._stopped.set()
        self.join(10)
        for member in self._members:
            member.kill()

    def _is_ready(self, member: Member) -> bool:
        return member.run_name in [worker.name for worker in self._roster.workers()]

    def _bury(self, run_name: str) -> tuple[str, ...]:
        held = self._held(run_name)
        self._release(run_name)
        return held

    def _held(self, run_name: str) -> tuple[str, ...]:
        key = f"{rq_adapter.worker_key(run_name)}:executions"
        with contextlib.suppress(RedisError):
            return tuple(entry.split(b":")[0].decode() for entry in self._redis.smembers(key))
        return ()


def log_lines(path: Path) -> list[dict[str, Any]]:
    """Those of JSON."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def environment_of(folder: Path, settings: Settings) -> dict[str, str]:
    """Of a process that keeps its log in the folder."""
    own = {LOGS: str(folder), "PYTHONPATH": str(CHECKOUT)}
    return {**os.environ, **as_environment(settings), **own}
