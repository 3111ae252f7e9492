"""Work that must not slow the steps of a model down."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

LOWEST_PRIORITY = 19


def step_back() -> None:
    """Gives the calling thread, and those that it starts, what others leave of one core.

    A compiler of grammars starts eight threads: on all cores they would outnumber the model's
    where these have a low priority as well. Elsewhere than on Linux this lowers the priority of the
    whole process.
    """
    os.nice(LOWEST_PRIORITY)
    if sys.platform == "linux":
        with suppress(OSError):  # a container may not allow it
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
