"""A child that must not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Has the kernel kill this process as soon as the process `parent` has ended.

    It heeds the thread that started this process: that must be the parent's main one. Elsewhere
    than on Linux nothing happens; the child then ends when its pipe does.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(0)
