"""The workers of a supervisor, and how it follows the wanted number."""

from __future__ import annotations

from itertools import pairwise

import pytest

from headrace.cli.child import FIRST_DELAY_S, LONGEST_DELAY_S, Child
from headrace.cli.crew import END_S, Crew
from tests.unit.cli.fakes import FakeClock, FakeSpawner


class FakeWanted:
    """`drained` are the numbers of the workers that may be told to end."""

    def __init__(self) -> None:
        self.number = 2
        self.drained: set[int] = set()
        self.has_begun = False

    def begin(self) -> None:
        self.has_begun = True

    def size(self) -> int:
        return self.number

    def dismiss(self, worker: str) -> bool:
        return int(worker.split("-")[1]) in self.drained


class Workplace:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.spawner = FakeSpawner()
        self.wanted = FakeWanted()
        self.crew = Crew(self.wanted, self._hire, self.clock)
        self.crew.start()
        self.journal.clear()

    def _hire(self, number: int) -> Child:
        name = f"worker-{number}"
        return Child(name, lambda run: [name], spawn=self.spawner, clock=self.clock)

    @property
    def journal(self) -> list[str]:
        return self.spawner.journal

    def want(self, number: int) -> None:
        self.wanted.number = number
        self.crew.watch()

    def names(self) -> list[str]:
        return [child.name for child in self.crew.workers]


@pytest.fixture
def workplace() -> Workplace:
    return Workplace()


def test_it_begins_with_as_many_as_are_wanted(workplace: Workplace) -> None:
    assert workplace.wanted.has_begun
    assert workplace.names() == ["worker-1", "worker-2"]


def test_more_are_started_with_the_lowest_free_numbers(workplace: Workplace) -> None:
    workplace.want(4)
    assert workplace.journal == ["start worker-3", "start worker-4"]


def test_a_worker_that_is_too_many_ends_once_it_is_drained(workplace: Workplace) -> None:
    workplace.want(1)
    workplace.crew.watch()
    assert workplace.journal == []

    workplace.wanted.drained = {2}
    workplace.crew.watch()
    workplace.crew.watch()
    assert workplace.journal == ["TERM worker-2", "end worker-2"]
    assert workplace.names() == ["worker-1"]


def test_one_that_drains_is_called_back(workplace: Workplace) -> None:
    workplace.want(1)
    workplace.want(2)
    workplace.wanted.drained = {2}
    workplace.crew.watch()

    assert workplace.journal == []


def test_one_that_is_told_to_end_ends_and_starts_anew(workplace: Workplace) -> None:
    workplace.spawner.latest("worker-2").ends_after_terms = None
    workplace.wanted.drained = {2}
    workplace.want(1)
    workplace.want(2)
    assert workplace.journal == ["TERM worker-2"]

    workplace.spawner.latest("worker-2").end(0)
    workplace.crew.watch()
    assert workplace.journal[1:] == ["end worker-2", "start worker-2"]


def test_one_that_does_not_end_is_killed_since_it_runs_nothing(workplace: Workplace) -> None:
    workplace.spawner.latest("worker-2").ends_after_terms = None
    workplace.wanted.drained = {2}
    workplace.want(1)
    workplace.clock.sleep(END_S + 0.1)
    workplace.crew.watch()

    assert workplace.journal == ["TERM worker-2", "KILL worker-2", "end worker-2"]


def test_one_that_dies_while_it_drains_does_not_come_back(workplace: Workplace) -> None:
    workplace.want(1)
    workplace.spawner.latest("worker-2").end(1)
    for _watch in range(20):
        workplace.crew.watch()
        workplace.clock.sleep(1)

    assert workplace.journal == ["end worker-2"]


def test_one_that_crashes_again_and_again_delays_no_other(workplace: Workplace) -> None:
    for _crash in range(6):
        workplace.spawner.latest("worker-1").end(1)
        workplace.crew.watch()
        workplace.clock.sleep(LONGEST_DELAY_S)
        workplace.crew.watch()
    workplace.journal.clear()

    for name in ("worker-1", "worker-2"):
        workplace.spawner.latest(name).end(1)
    workplace.crew.watch()
    workplace.clock.sleep(FIRST_DELAY_S)
    workplace.crew.watch()
    assert workplace.journal == ["end worker-1", "end worker-2", "start worker-2"]


def test_one_that_crashes_waits_longer_and_longer(workplace: Workplace) -> None:
    starts = []
    for _second in range(100):
        process = workplace.spawner.latest("worker-1")
        if process.code is None:
            starts.append(workplace.clock.now())
            process.end(1)
        workplace.crew.watch()
        workplace.clock.sleep(0.2)

    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 5 * pauses[0]
