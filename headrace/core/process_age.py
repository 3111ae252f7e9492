"""How old this process is."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/self/stat")
START_TIME = 19
"""Place of a process's begin behind its name, in clock ticks since the machine's: proc(5)."""

IMPORTED_AT = time.monotonic()


def process_age_s() -> float:
    """Seconds since it began; where the system does not say, since it read this module."""
    try:
        ticks = int(STAT.read_text().rpartition(")")[2].split()[START_TIME])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        age_s = -1.0
    return age_s if age_s >= 0 else time.monotonic() - IMPORTED_AT
