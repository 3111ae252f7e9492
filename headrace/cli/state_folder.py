"""The folder that one deployment lives in, and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.core.errors import SettingsError, StateFolderBusy

LOCK_NAME = "headrace.lock"


def make_private(folder: Path) -> Path:
    """Creates the folder where it is missing; nobody else may look into it (mode 0700).

    Raises `SettingsError` when that cannot be done.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


@contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Holds the folder for this process; the kernel lets go of it however the process ends.

    Raises `StateFolderBusy` when another process holds it.
    """
    try:
        # An existing folder keeps its mode: it may be somebody's home.
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateFolderBusy(
                f"another `headrace up` (pid {lock.read().strip()}) already runs in {state_dir}; "
                "stop it, or take another folder with --state-dir"
            ) from None
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(f"HEADRACE_STATE_DIR: cannot use {folder}: {error.strerror}")
