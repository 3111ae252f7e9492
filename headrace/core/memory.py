"""The memory that this machine, or its container, has and has free."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Bytes, or `max` for no limit: cgroup v2, as a container sees it."""

MACHINE = Path("/proc/meminfo")


def machine_memory(limit: Path = LIMIT) -> int:
    """Bytes of the machine, or fewer where a container allows fewer."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), _limited(limit))


def available_memory(limit: Path = LIMIT, machine: Path = MACHINE) -> int:
    """Bytes that a process could take now: free ones, and those that only cache files."""
    free = _entries(machine).get("MemAvailable:", sys.maxsize // 1024) * 1024
    used = _limited(limit.with_name("memory.current"))
    if used == sys.maxsize:
        return min(free, _limited(limit))
    cached = _entries(limit.with_name("memory.stat")).get("inactive_file", 0)
    return min(free, _limited(limit) - used + cached)


def _entries(file: Path) -> dict[str, int]:
    """The first number behind each name of a file; none where there is no such file."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {name: int(number) for name, number, *_unit in lines}


def _limited(limit: Path) -> int:
    try:
        return int(limit.read_text())
    except (OSError, ValueError):  # no cgroup v2, or `max`
        return sys.maxsize
