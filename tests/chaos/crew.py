"""Workers as many as the scaler wants, kept by the `Crew` of `headrace up`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from headrace.cli.child import Child
from headrace.cli.crew import Crew
from headrace.cli.process import SessionProcess
from headrace.cli.supervisor import TICK_S
from headrace.cli.wanted import ScaledNumber
from headrace.cli.worker_release import WorkerRelease
from headrace.core.clock import SystemClock
from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings
from tests.chaos.fleet import environment_of, log_lines


class Moment(Enum):
    """When a worker goes that is too many."""

    DRAINED = auto()
    """It runs nothing; the supervisor has not asked whether it may end it."""

    DISMISSED = auto()
    """It may be told to end, and has not been told."""


@dataclass(frozen=True)
class End:
    """`ran`: how many jobs it had when it was told to end; None where it never was."""

    worker: str
    exit_code: int
    ran: int | None


class FollowingCrew(threading.Thread):
    """Looks at its workers as often as the supervisor does; keeps `ends`."""

    def __init__(self, folder: Path, redis: Client, settings: Settings, size: int) -> None:
        super().__init__(name="crew", daemon=True)
        self.desired = DesiredFleet(redis, settings)
        self.ends: list[End] = []
        self._folder = folder
        self._environment = environment_of(folder, settings)
        self._release = WorkerRelease(redis, settings)
        self._number = _WatchedNumber(redis, self.desired, size)
        self._crew = Crew(self._number, self._hire, SystemClock())
        self._stopped = threading.Event()

    def start(self) -> None:
        self._crew.start()
        super().start()

    def at(self, moment: Moment, act: Callable[[], None]) -> None:
        """Acts once, when the next worker comes to that moment."""
        self._number.acts[moment] = act

    def run(self) -> None:
        while not self._stopped.wait(TICK_S):
            self._crew.watch()

    def close(self) -> None:
        """Kills what still runs."""
        self._stopped.set()
        self.join(10)
        for child in self._crew.workers:
            child.kill()

    def _hire(self, number: int) -> Child:
        def note_end(run_name: str) -> bool:
            self.ends.append(End(run_name, child.last_exit or 0, self._ran(run_name)))
            return self._release(run_name)

        def note_dismissal(run_name: str) -> None:
            note_end(run_name)

        child = Child(
            f"worker-{number}",
            _command,
            spawn=lambda command: SessionProcess(command, self._environment),
            clock=SystemClock(),
            on_death=note_end,
            on_end=note_dismissal,
        )
        return child

    def _ran(self, worker: str) -> int | None:
        lines = log_lines(self._folder / f"{worker}.log")
        return next((line["running"] for line in lines if line["message"] == "worker drains"), None)


class _WatchedNumber(ScaledNumber):
    """`acts` happen in the supervisor's thread, which waits for them."""

    def __init__(self, redis: Client, fleet: DesiredFleet, size: int) -> None:
        super().__init__(fleet, size, SystemClock())
        self.acts: dict[Moment, Callable[[], None]] = {}
        self._redis = redis

    def dismiss(self, worker: str) -> bool:
        if self._is_drained(worker):
            self._reach(Moment.DRAINED)
        is_dismissed = super().dismiss(worker)
        if is_dismissed:
            self._reach(Moment.DISMISSED)
        return is_dismissed

    def _is_drained(self, worker: str) -> bool:
        running = self._redis.scard(f"{rq_adapter.worker_key(worker)}:executions")
        return bool(self._redis.sismember(keys.DRAINING, worker)) and not running

    def _reach(self, moment: Moment) -> None:
        self.acts.pop(moment, lambda: None)()


def _command(run_name: str) -> Sequence[str]:
    return (sys.executable, "-m", "tests.chaos.worker", "--name", run_name)
