"""Stand-ins for time and for processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


class FakeClock:
    """Sleeping only moves it; `alarms` are run when their time has come."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        due = [alarm for alarm in self.alarms if alarm[0] <= self.time]
        self.alarms = [alarm for alarm in self.alarms if alarm not in due]
        for _at, ring in due:
            ring()

    def after(self, seconds: float, ring: Callable[[], None]) -> None:
        self.alarms.append((self.time + seconds, ring))


@dataclass
class FakeProcess:
    """Ends when it is told to; `ends_after_terms` None never heeds SIGTERM."""

    command: Sequence[str]
    pid: int
    journal: list[str]
    ends_after_terms: int | None = 1
    code: int | None = None
    terms: int = 0

    def exit_code(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.terms += 1
        self.journal.append(f"TERM {self.name}")
        if self.terms == self.ends_after_terms:
            self.end(0)

    hurry = terminate

    def kill(self) -> None:
        if self.code is None:
            self.journal.append(f"KILL {self.name}")
            self.end(-signal.SIGKILL)

    def end(self, code: int) -> None:
        self.code = code
        self.journal.append(f"end {self.name}")

    @property
    def name(self) -> str:
        return self.command[0]


@dataclass
class FakeSpawner:
    """Remembers what it started; `obedience` names processes that need other than one SIGTERM."""

    journal: list[str] = field(default_factory=list)
    processes: list[FakeProcess] = field(default_factory=list)
    obedience: dict[str, int | None] = field(default_factory=dict)

    def __call__(self, command: Sequence[str]) -> FakeProcess:
        process = FakeProcess(
            command,
            pid=len(self.processes) + 1,
            journal=self.journal,
            ends_after_terms=self.obedience.get(command[0], 1),
        )
        self.processes.append(process)
        self.journal.append(f"start {command[0]}")
        return process

    def latest(self, name: str) -> FakeProcess:
        return [process for process in self.processes if process.name == name][-1]
