from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.process import SessionProcess, how_it_ended
from tests.processes import is_alive
from tests.waiting import eventually

SLEEPS = "import time; time.sleep(600)"
CHECKOUT = Path(__file__).parents[3]


def start(code: str) -> SessionProcess:
    return SessionProcess([sys.executable, "-c", code], os.environ)


def test_a_process_has_a_session_of_its_own() -> None:
    process = start(SLEEPS)
    assert os.getsid(process.pid) == process.pid
    process.kill()


def test_a_running_process_has_no_exit_code() -> None:
    process = start(SLEEPS)
    assert process.exit_code() is None
    process.kill()


def test_an_ended_process_tells_its_exit_code() -> None:
    process = start("raise SystemExit(3)")
    eventually(lambda: process.exit_code() == 3)


def test_a_terminated_process_tells_the_signal() -> None:
    process = start(SLEEPS)
    process.terminate()
    eventually(lambda: process.exit_code() == -15)


def test_killing_reaches_what_the_process_started(tmp_path: Path) -> None:
    process = start(
        "import subprocess, sys, pathlib\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "child.wait()"
    )
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    grandchild = int((tmp_path / "pid").read_text())
    assert is_alive(grandchild)
    process.kill()
    assert process.exit_code() == -9
    eventually(lambda: not is_alive(grandchild))


def test_what_an_ended_process_left_behind_can_be_killed(tmp_path: Path) -> None:
    process = start(
        "import subprocess, sys, pathlib\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
    )
    eventually(lambda: process.exit_code() == 0)
    process.kill()
    eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_a_process_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, pathlib, time\n"
            "from headrace.cli.process import SessionProcess\n"
            f"child = SessionProcess(['sleep', '600'], os.environ)\n"
            f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
            "time.sleep(600)",
        ],
        cwd=CHECKOUT,
    )
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child = int((tmp_path / "pid").read_text())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    eventually(lambda: not is_alive(child))


def test_a_shielded_process_ends_by_its_own_signal_alone(tmp_path: Path) -> None:
    """A service manager sends SIGTERM to all processes at once."""
    code = f"import pathlib, time; pathlib.Path({str(tmp_path / 'up')!r}).touch(); time.sleep(600)"
    command = [sys.executable, "-c", code]
    process = SessionProcess(command, os.environ, stop=signal.SIGINT, is_shielded=True)
    eventually((tmp_path / "up").exists)
    os.kill(process.pid, signal.SIGTERM)
    assert process.exit_code() is None

    process.terminate()
    eventually(lambda: process.exit_code() == -signal.SIGINT)


def test_a_process_is_asked_by_its_own_signal_and_hurried_by_sigterm() -> None:
    process = SessionProcess(["sleep", "600"], os.environ, stop=signal.SIGUSR1)
    process.terminate()
    eventually(lambda: process.exit_code() == -signal.SIGUSR1)

    process = SessionProcess(["sleep", "600"], os.environ, stop=signal.SIGUSR1)
    process.hurry()
    eventually(lambda: process.exit_code() == -signal.SIGTERM)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exited with code 0"),
        (2, "exited with code 2"),
        (-9, "was killed by SIGKILL"),
        (-100, "was killed by signal 100"),
    ],
)
def test_an_end_is_told_in_words(code: int, text: str) -> None:
    assert how_it_ended(code) == text
