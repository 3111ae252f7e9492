"""A process of the supervisor's kind that tells when it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from headrace.cli.process import SessionProcess


class TimedProcess(SessionProcess):
    """Somebody waits for its end all the time: polling would be late."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: IO[bytes] | None = None,
    ) -> None:
        super().__init__(command, environment, output)
        self._ended_at = 0.0
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @property
    def ended_at(self) -> float:
        """Seconds since the epoch, as Redis TIME on the same machine. Waits for the end."""
        self._watcher.join()
        return self._ended_at

    def _watch(self) -> None:
        self._popen.wait()
        self._ended_at = time.time()
