"""Work that must not slow the steps of a model down."""

from __future__ import annotations

import os
import sys

LOWEST_PRIORITY = 19


def step_back() -> None:
    """Lets the calling thread, and those that it starts, have what others leave of the cores.

    A niceness would not do: a compiler with eight threads of the lowest priority has a tenth of two
    cores, and half of them where the model's threads have that priority as well. Elsewhere than on
    Linux this lowers the priority of the whole process.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(LOWEST_PRIORITY)
