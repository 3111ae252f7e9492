from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from headrace.cli.child import FIRST_DELAY_S, LONGEST_DELAY_S, SETTLED_S, STEADY_S, Child
from headrace.cli.process import Process
from tests.unit.cli.fakes import FakeClock, FakeSpawner


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def spawner() -> FakeSpawner:
    return FakeSpawner()


@pytest.fixture
def buried() -> list[str]:
    return []


@pytest.fixture
def child(clock: FakeClock, spawner: FakeSpawner, buried: list[str]) -> Child:
    child = Child(
        "worker-1", lambda run: ["worker", run], spawn=spawner, clock=clock, on_death=buried.append
    )
    child.start()
    return child


def test_a_run_that_is_no_longer_well_is_asked_to_end_and_another_one_starts(
    clock: FakeClock, spawner: FakeSpawner
) -> None:
    answers = {1: True, 2: True}
    child = Child(
        "redis",
        lambda run: ["redis"],
        spawn=spawner,
        clock=clock,
        is_well=lambda: answers[len(spawner.processes)],
    )
    child.start()
    answers[1] = False
    child.watch()
    assert spawner.journal == ["start redis"]  # it may still be starting

    clock.sleep(SETTLED_S)
    for _watch in range(3):
        child.watch()
        clock.sleep(FIRST_DELAY_S)
    assert spawner.journal == ["start redis", "TERM redis", "end redis", "start redis"]


def test_an_end_that_was_asked_for_is_no_death(clock: FakeClock, spawner: FakeSpawner) -> None:
    ended: list[str] = []
    child = Child(
        "w",
        lambda run: ["w", run],
        spawn=spawner,
        clock=clock,
        on_death=lambda run: pytest.fail("blamed"),
        on_end=ended.append,
    )
    child.start()
    child.terminate()
    child.bury()

    assert ended == [child.run_name]


def die_and_wait_for_restart(child: Child, spawner: FakeSpawner, clock: FakeClock) -> float:
    """Seconds until the next run started."""
    spawner.processes[-1].end(1)
    runs, died_at = len(spawner.processes), clock.now()
    while len(spawner.processes) == runs:
        child.watch()
        clock.sleep(0.1)
    return clock.now() - died_at


def test_every_run_has_a_name_of_its_own(
    child: Child, spawner: FakeSpawner, clock: FakeClock
) -> None:
    die_and_wait_for_restart(child, spawner, clock)
    first, second = (process.command[1] for process in spawner.processes)
    assert first != second
    assert first.startswith("worker-1-")
    assert second.startswith("worker-1-")


def test_a_death_is_told_with_the_name_of_the_run_that_died(
    child: Child, spawner: FakeSpawner, clock: FakeClock, buried: list[str]
) -> None:
    die_and_wait_for_restart(child, spawner, clock)
    assert buried == [spawner.processes[0].command[1]]


def test_a_child_that_keeps_dying_starts_ever_later(
    child: Child, spawner: FakeSpawner, clock: FakeClock
) -> None:
    delays = [die_and_wait_for_restart(child, spawner, clock) for _ in range(8)]
    assert delays == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30], abs=0.25)
    assert delays[0] >= FIRST_DELAY_S
    assert delays[-1] >= LONGEST_DELAY_S


def test_a_child_that_lived_long_starts_again_soon(
    child: Child, spawner: FakeSpawner, clock: FakeClock
) -> None:
    for _ in range(5):
        die_and_wait_for_restart(child, spawner, clock)
    clock.sleep(STEADY_S)
    assert die_and_wait_for_restart(child, spawner, clock) == pytest.approx(0.5, abs=0.25)


@pytest.mark.parametrize(
    ("code", "how"), [(3, "exited with code 3"), (-9, "was killed by SIGKILL")]
)
def test_a_death_is_reported_with_its_cause_and_the_restart(
    child: Child, spawner: FakeSpawner, code: int, how: str
) -> None:
    spawner.processes[-1].end(code)
    with capture_logs() as logs:
        child.watch()
    assert logs == [
        {
            "event": "died",
            "log_level": "warning",
            "child": "worker-1",
            "how": how,
            "starts_again_in_s": 0.5,
        }
    ]


def test_a_child_that_cannot_be_started_again_is_tried_later(clock: FakeClock) -> None:
    spawner = FakeSpawner()
    failures = iter([False, True, False])

    def spawn(command: Sequence[str]) -> Process:
        if next(failures):
            raise OSError("no memory")
        return spawner(command)

    child = Child("api", lambda run: ["api"], spawn=spawn, clock=clock)
    child.start()
    assert die_and_wait_for_restart(child, spawner, clock) == pytest.approx(1.5, abs=0.35)


def test_the_exit_code_of_its_latest_end_is_known_before_and_after_it_is_noticed(
    child: Child, spawner: FakeSpawner, clock: FakeClock
) -> None:
    assert child.exit_code is None
    spawner.processes[-1].end(3)
    assert child.exit_code == 3
    child.watch()
    assert child.exit_code == 3
    clock.sleep(FIRST_DELAY_S)
    child.watch()
    assert child.is_running
    assert child.exit_code == 3


def test_a_child_that_was_never_started_needs_no_end(clock: FakeClock) -> None:
    spawner = FakeSpawner()
    child = Child("api", lambda run: ["api"], spawn=spawner, clock=clock)
    child.terminate()
    child.bury()
    assert spawner.journal == []


def test_a_death_that_something_else_is_to_blame_for_is_no_crash_loop(
    clock: FakeClock, spawner: FakeSpawner
) -> None:
    blameless = Child(
        "w", lambda run: ["w", run], spawn=spawner, clock=clock, on_death=lambda run: True
    )
    blameless.start()

    waits = [die_and_wait_for_restart(blameless, spawner, clock) for _death in range(4)]
    assert max(waits) < 2 * FIRST_DELAY_S
