"""The folder that one deployment lives in, and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

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
def locked(state_dir: Path) -> Iterator[bool]:
    """Holds the folder for this process; the kernel lets go of it however the process ends.

    Yields whether the one before was killed, so that its children may still be ending.
    Raises `StateFolderBusy` when another process holds it.
    """
    try:
        # An existing folder keeps its mode: it may be somebody's home.
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    with os.fdopen(descriptor, "r+") as lock:
        holder = _take(lock, state_dir)
        _rewrite(lock, f"{os.getpid()}\n")
        try:
            yield bool(holder)
        finally:
            _rewrite(lock, "")


def _take(lock: TextIO, state_dir: Path) -> str:
    """The pid that an earlier holder left behind; one that ended by itself leaves none."""
    holder = lock.read().strip()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateFolderBusy(
            f"another `headrace up` (pid {holder}) already runs in {state_dir}; "
            "stop it, or take another folder with --state-dir"
        ) from None
    return holder


def _rewrite(lock: TextIO, text: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(f"HEADRACE_STATE_DIR: cannot use {folder}: {error.strerror}")
