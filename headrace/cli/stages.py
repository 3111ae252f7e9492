"""Progress through named stages: one line that changes on a terminal, one line each elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console


class Stages:
    """Writes to stderr; `enter` is called with what goes on from now."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def enter(self, stage: str) -> None:
        if self._console.is_terminal:
            self._status.update(stage)
        else:
            print(stage, file=sys.stderr, flush=True)
