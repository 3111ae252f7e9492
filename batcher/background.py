"""Work that must not slow the steps of a model down."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

LOWEST_PRIORITY = 19


def step_back() -> None:
    """Lets the calling thread, and those that it starts, have what others leave of the cores.

    A niceness would not do: a compiler with eight threads of the lowest priority has a part of the
    cores, and most of them where the model's threads have that priority as well. Elsewhere than on
    Linux this lowers the priority of the whole process.
    """
    os.nice(LOWEST_PRIORITY)
    if sys.platform == "linux":
        with suppress(OSError):  # a container may not allow it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
