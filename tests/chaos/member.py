"""A worker of the fleet: one process, or one after another where it is restarted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from headrace.cli.child import Child
from headrace.cli.process import Process
from headrace.core.clock import SystemClock
from tests.chaos.process import TimedProcess


@dataclass(frozen=True)
class Death:
    """`at` is in seconds since the epoch; `held` are the jobs that it had then."""

    worker: str
    at: float
    exit_code: int
    held: tuple[str, ...]


class Member:
    """Kept by the same `Child` that `headrace up` keeps its workers with.

    `bury` is told the name of each run that ended, and says which jobs it held.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        *,
        restarts: bool,
        bury: Callable[[str], tuple[str, ...]],
    ) -> None:
        self.deaths: list[Death] = []
        self._environment = environment
        self._restarts = restarts
        self._bury = bury
        self._process: TimedProcess | None = None
        self._child = Child(
            name, _command, spawn=self._spawn, clock=SystemClock(), on_death=self._note_death
        )

    @property
    def run_name(self) -> str:
        return self._child.run_name

    @property
    def is_running(self) -> bool:
        return self._child.is_running

    def start(self) -> None:
        self._child.start()

    def look(self) -> None:
        """Notices a death, and starts the successor where there is to be one."""
        if self._restarts:
            self._child.watch()
        elif not self._child.is_running:
            self._child.bury()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    @property
    def engine_pid(self) -> int:
        """The process that its engine runs in."""
        assert self._process is not None
        (engine,) = psutil.Process(self._process.pid).children()
        return int(engine.pid)

    def kill(self) -> None:
        self._child.kill()

    def _spawn(self, command: Sequence[str]) -> Process:
        self._process = TimedProcess(command, self._environment)
        return self._process

    def _note_death(self, run_name: str) -> None:
        assert self._process is not None
        exit_code = self._process.exit_code() or 0
        self.deaths.append(Death(run_name, self._process.ended_at, exit_code, self._bury(run_name)))


def _command(run_name: str) -> Sequence[str]:
    return (sys.executable, "-m", "tests.chaos.worker", "--name", run_name)
