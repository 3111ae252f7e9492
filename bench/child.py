"""A process that a benchmark starts: it answers inside a `with` block, and has ended behind it."""

from __future__ import annotations

import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from headrace.cli.process import SessionProcess

LOOK_S = 0.1
END_S = 60.0
"""What takes longer over its end is killed."""


class Child(ABC):
    """A command with variables put over those of the benchmark.

    `ready_s` is how long it may take until it answers. Entering raises `RuntimeError`, with the
    last lines that it wrote, where it takes longer or ends; it has ended then.
    """

    ready_s: float

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment

    @abstractmethod
    def answers(self) -> bool:
        """Whether it is ready for the benchmark."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU seconds, user and system, that its live processes have used so far."""
        root = psutil.Process(self.pid)
        times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))

    def last_lines(self) -> str:
        """Of what it has written so far."""
        return "\n".join(Path(self._log.name).read_text(errors="replace").splitlines()[-5:])

    def __enter__(self) -> Self:
        self._log = tempfile.NamedTemporaryFile()
        self._process = SessionProcess(self._command, os.environ | self._environment, self._log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + self.ready_s
        while not self.answers():
            if self._process.exit_code() is not None or time.monotonic() > until:
                command = " ".join(self._command)
                raise RuntimeError(f"{command} does not answer\n{self.last_lines()}")
            time.sleep(LOOK_S)

    def _end(self) -> None:
        self._process.terminate()
        until = time.monotonic() + END_S
        while self._process.exit_code() is None and time.monotonic() < until:
            time.sleep(LOOK_S)
        self._process.kill()
        self._log.close()
