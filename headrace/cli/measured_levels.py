"""Keeps what a long command measures on disk, until its result is out."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from headrace.loadtest.level import Level
from headrace.loadtest.progress import Progress
from headrace.loadtest.report import level_record
from headrace.loadtest.result import Result


class MeasuredLevels:
    """A `Progress` that writes each level to a file as soon as it is measured.

    The file, with a line of JSON a level, is removed once the command has handed in its result. If
    anything else ends the command, the file stays and a line on stderr names it.
    """

    def __init__(self, progress: Progress, result_path: Path | None) -> None:
        """The file stands beside `result_path`, or among temporary files without one."""
        self._progress = progress
        beside = result_path or Path(tempfile.gettempdir()) / f"headrace-{os.getpid()}"
        self.path = beside.with_name(f"{beside.name}.measured.jsonl")
        self._levels = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._levels and kind is None:
            self.path.unlink(missing_ok=True)
        elif self._levels:
            click.echo(f"headrace: what was measured is in {self.path}", err=True)

    def showing(self, level: Level) -> AbstractContextManager[None]:
        return self._progress.showing(level)

    def finished(self, result: Result) -> None:
        try:
            with self.path.open("a" if self._levels else "w") as file:
                file.write(json.dumps(level_record(result)) + "\n")
            self._levels += 1
        except OSError as error:  # the result may still be handed in
            click.echo(f"headrace: {self.path} cannot be written: {error.strerror}", err=True)
        self._progress.finished(result)
