"""How old a process says it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.core import process_age


def test_it_counts_from_the_begin_of_the_process() -> None:
    code = "import time; time.sleep(0.3); from headrace.core.process_age import *; "
    code += "print(process_age_s())"
    began = time.monotonic()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert 0.3 <= float(printed.stdout) <= time.monotonic() - began + 0.02


def test_where_the_system_does_not_say_it_counts_from_its_import(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process_age, "STAT", tmp_path / "missing")
    assert 0 <= process_age.process_age_s() <= time.monotonic()
