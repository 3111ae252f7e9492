"""Processes that may open few files."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from headrace.core.errors import SettingsError
from headrace.core.open_files import require_files
try:
    require_files(256)
except SettingsError as error:
    print(error)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limited(limits: str, command: str = SCRIPT) -> str:
    shell = f'{limits}; exec "$@"'
    argv = ["sh", "-c", shell, "sh", sys.executable, "-c", command]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20).stdout


def test_a_soft_limit_is_raised_to_the_hard_one() -> None:
    assert limited("ulimit -Sn 64; ulimit -Hn 300") == "300\n"


def test_a_hard_limit_that_is_too_low_is_one_line() -> None:
    complaint, limit = limited("ulimit -n 64").splitlines()
    assert limit == "64"
    assert complaint.startswith("only 64 files may be open at once and 256 are needed")
    assert "ulimit -n 4096" in complaint
