"""The folder that one deployment lives in, and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from headrace.core.errors import SettingsError, StateFolderBusy

LOCK_NAME = "headrace.lock"
STOPS = "stops"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


class Lock:
    """Held by this process. Its file holds the pid, the machine's boot and whether it stops.

    `was_killed`: the holder before did not end by itself, so its children may still be ending.
    `was_on_purpose`: it ended because somebody wanted that, or because the machine did.
    """

    def __init__(self, file: TextIO, earlier: Sequence[str]) -> None:
        self._file = file
        self.was_killed = bool(earlier)
        self.was_on_purpose = not self.was_killed or STOPS in earlier or _boot() not in earlier
        self._lines = [str(os.getpid()), _boot()]
        self._write(self._lines)

    def note_stop(self) -> None:
        """Notes that this process ends on purpose, should it be killed before it has ended."""
        self._write([*self._lines, STOPS])

    def release(self) -> None:
        """Notes that this process ends by itself."""
        self._write([])

    def _write(self, lines: Sequence[str]) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()


@contextmanager
def locked(state_dir: Path) -> Iterator[Lock]:
    """Holds the folder for this process; the kernel lets go of it however the process ends.

    Raises `StateFolderBusy` when another process holds it.
    """
    try:
        # An existing folder keeps its mode: it may be somebody's home.
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    with os.fdopen(descriptor, "r+") as file:
        lock = Lock(file, _take(file, state_dir))
        try:
            yield lock
        finally:
            lock.release()


def _take(file: TextIO, state_dir: Path) -> Sequence[str]:
    """The lines that an earlier holder left behind; one that ended by itself leaves none."""
    left = file.read().split()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = left[0] if left else "unknown"
        raise StateFolderBusy(
            f"another `headrace up` (pid {holder}) already runs in {state_dir}; "
            "stop it, or take another folder with --state-dir"
        ) from None
    return left


def _boot() -> str:
    """Names the present boot of the machine; the same for all where the kernel names none."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return "boot"


def _unusable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(f"HEADRACE_STATE_DIR: cannot use {folder}: {error.strerror}")
