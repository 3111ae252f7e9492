"""Children that must not outlive their parents."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
"""Loaded with the module: between fork and exec nothing may be imported."""


def end_with(parent: int, number: signal.Signals) -> None:
    """Has the kernel send this process a signal as soon as the process `parent` has ended.

    It heeds the thread that started this process: that must be the parent's main one, or one that
    lives as long. Elsewhere than on Linux nothing happens.
    """
    if _prctl is None:
        return
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before we could ask: no signal will come
        os._exit(1)
