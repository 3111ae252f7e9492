"""The folder in which the processes of one API count together."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "headrace-metrics-"
LOCK = "lock"

MEMORY = "/dev/shm"
"""Its files are mapped: on a full disk a first count in a page would end the process, and others
clean temp folders while it runs."""


class CountsFolder:
    """A folder of this API's own, in memory or else among temporary files.

    A lock says that it is in use; the kernel releases it however the last process of the API ends.
    What killed ones left behind is removed.
    """

    def __init__(self) -> None:
        parent = MEMORY if os.access(MEMORY, os.W_OK) else tempfile.gettempdir()
        for left in Path(parent).glob(f"{PREFIX}*"):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Inherited by the processes that are forked: it is held as long as one of them lives.
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def restore(self) -> None:
        """Makes it anew where somebody removed it: a new process must find it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether its API has ended; another user's, or one without a lock, is left alone."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
