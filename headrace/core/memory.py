"""The memory that this machine, or its container, has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Bytes, or `max` for no limit: cgroup v2, as a container sees it."""


def machine_memory(limit: Path = LIMIT) -> int:
    """Bytes of the machine, or fewer where a container allows fewer."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _limited(limit))


def _limited(limit: Path) -> int:
    try:
        return int(limit.read_text())
    except (OSError, ValueError):  # no cgroup v2, or `max`
        return sys.maxsize
