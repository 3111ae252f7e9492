"""Processes of a benchmark answer before it begins, and are gone behind it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import child
from bench.child import Child
from tests.processes import is_alive
from tests.waiting import eventually

SLEEPS = "import time; print('begun', flush=True); time.sleep(600)"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"


class Script(Child):
    """Answers once it has written `begun`, unless a test says otherwise."""

    ready_s = 10.0

    def __init__(self, code: str, answers: Callable[[], bool] | None = None) -> None:
        super().__init__([sys.executable, "-c", code], {"TOLD": "a variable"})
        self._answers = answers

    def answers(self) -> bool:
        return self._answers() if self._answers else "begun" in self.last_lines()


def test_a_child_answers_inside_the_block_and_has_ended_behind_it() -> None:
    with Script(SLEEPS) as running:
        assert is_alive(running.pid)

    assert not is_alive(running.pid)


def test_a_child_has_its_variables() -> None:
    with Script(f"import os; print(os.environ['TOLD'], flush=True); {SLEEPS}") as running:
        assert "a variable" in running.last_lines()


def test_a_child_that_ends_before_it_answers_tells_its_last_lines() -> None:
    with pytest.raises(RuntimeError, match=r"does not answer\n(.*\n)*no room left"):
        Script("raise SystemExit('no room left')").__enter__()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_a_child_that_is_waited_for_in_vain_has_ended(error: type[BaseException] | None) -> None:
    def answers() -> bool:
        eventually(lambda: "begun" in script.last_lines())
        if error is not None:
            raise error
        return False

    script = Script(SLEEPS, answers)
    script.ready_s = 0.0
    with pytest.raises(error or RuntimeError):
        script.__enter__()

    assert not is_alive(script.pid)


def test_a_child_that_does_not_want_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "END_S", 0.2)
    with Script(IGNORES) as running:
        pass

    assert not is_alive(running.pid)


def test_nothing_of_its_session_outlives_a_child(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    spawns = (
        f"import subprocess, sys; other = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); "
        f"open({str(told)!r}, 'w').write(str(other.pid)); {SLEEPS}"
    )
    with Script(spawns, lambda: told.exists() and told.read_text() != ""):
        pass

    eventually(lambda: not is_alive(int(told.read_text())))
