"""The cores that a worker's model may keep busy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headrace.core.settings import Settings

LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of a core in each period, `max` for no limit: cgroup v2, as a container sees it."""


def with_fair_threads(settings: Settings) -> Settings:
    """The same with `threads` said: where none are named, a worker's share of the cores.

    Workers that all use all of them run 15 times slower.
    """
    if settings.threads:
        return settings
    share = max(1, available_cores() // max(1, settings.workers))
    return settings.model_copy(update={"threads": share})


def available_cores(limit: Path = LIMIT) -> int:
    """Those of the machine, or fewer where a container or an affinity allows fewer."""
    return max(1, min(_allowed_cores(), _limited_cores(limit)))


def _allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _limited_cores(limit: Path) -> int:
    try:
        quota, period = limit.read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError):  # no cgroup v2, or `max`
        return sys.maxsize
