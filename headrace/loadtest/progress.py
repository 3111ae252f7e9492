"""What somebody who waits sees: a line that moves on a terminal, else one a level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from headrace.loadtest.level import Level
from headrace.loadtest.result import Result


class Progress(Protocol):
    def showing(self, level: Level) -> AbstractContextManager[None]:
        """Shows the level while it runs."""

    def finished(self, result: Result) -> None:
        """Says what came of it."""


class Lines:
    """One line a level."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def showing(self, level: Level) -> AbstractContextManager[None]:
        return nullcontext()

    def finished(self, result: Result) -> None:
        self._console.print(Text(one_line(result)), soft_wrap=True)


class Moving(Lines):
    """On a terminal: the level's counts, several times a second."""

    @contextmanager
    def showing(self, level: Level) -> Iterator[None]:
        with Live(
            console=self._console,
            get_renderable=lambda: Text(state(level)),
            refresh_per_second=4,
            transient=True,
        ):
            yield


def state(level: Level) -> str:
    elapsed_s, limits = level.elapsed_s, level.limits
    of = f" of {limits.duration_s:.0f}" if limits.duration_s else ""
    sent = len(level.records)
    if elapsed_s < 0:
        phase = f"warm-up, {-elapsed_s:.0f} s left"
    elif limits.duration_s and elapsed_s > limits.duration_s:
        phase = f"waiting for the last {sent - level.done} answers"
    else:
        phase = f"{elapsed_s:.0f}{of} s"
    counts = f"{sent} sent, {sent - level.done} open, {level.errors} errors"
    return f"level {level.load.label}: {phase}, {counts}"


def one_line(result: Result) -> str:
    figures = result.figures
    latency, run = "", f" run {result.run}" if result.run > 1 else ""
    if figures.e2e:
        p50, p95 = (figures.e2e.percentiles[percent].value for percent in (50, 95))
        latency = f", p50 {p50:.3f} s, p95 {p95:.3f} s"
    return (
        f"level {result.load.label}{run}: {figures.requests} requests, "
        f"{sum(figures.errors.values())} errors, {figures.throughput:.2f} req/s{latency}, "
        f"{'valid' if result.is_valid else 'INVALID'}"
    )
