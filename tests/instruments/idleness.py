"""How much of this machine's CPUs nobody needed."""

from __future__ import annotations

from pathlib import Path

STAT = Path("/proc/stat")
NICE, IDLE, IO_WAIT = 1, 3, 4


class Idleness:
    """Counts from its making on. Programs of low priority count as idle: they make way."""

    def __init__(self) -> None:
        self._idle, self._all = _jiffies()

    def share(self) -> float:
        idle, total = _jiffies()
        return (idle - self._idle) / max(1, total - self._all)


def _jiffies() -> tuple[int, int]:
    """Of all CPUs together: idle ones, and all."""
    counts = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return counts[NICE] + counts[IDLE] + counts[IO_WAIT], sum(counts)
