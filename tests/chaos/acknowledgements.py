"""The ids that were acknowledged, on disk: what the queue has promised outlives this process."""

from __future__ import annotations

import os
from pathlib import Path


class Acknowledgements:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a")

    def write(self, job_id: str) -> None:
        """Returns once it is on the disk."""
        self._file.write(f"{job_id}\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self) -> list[str]:
        return self._path.read_text().split()

    def close(self) -> None:
        self._file.close()
