"""How old a process says it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.core import process_age
from tests.waiting import eventually


def test_it_counts_from_the_begin_of_the_process() -> None:
    """It is asked when the test says so, which knows how long that is after the begin."""
    code = "import sys; sys.stdin.readline(); from headrace.core.process_age import *; "
    code += "print(process_age_s())"
    before, command = time.monotonic(), [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        begun = time.monotonic()
        eventually(lambda: time.monotonic() - begun > 0.3)
        printed, _ = process.communicate(b"now\n")

    assert 0.3 <= float(printed) <= time.monotonic() - before + 0.02


def test_where_the_system_does_not_say_it_counts_from_its_import(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process_age, "STAT", tmp_path / "missing")
    assert 0 <= process_age.process_age_s() <= time.monotonic()
