"""Work that must not slow the steps of a model down."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

LOWEST_PRIORITY = 19


def step_back() -> None:
    """Gives the calling thread, and those that it starts, a tenth of one core where others want it.

    A compiler of grammars starts eight threads: each has the lowest weight, and on all cores they
    would meet the model's threads on each of them. Elsewhere than on Linux this lowers the priority
    of the whole process.
    """
    os.nice(LOWEST_PRIORITY)
    if sys.platform == "linux":
        with suppress(OSError):  # a container may not allow it
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
