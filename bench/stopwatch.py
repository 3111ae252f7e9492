"""Durations of some calls of an object, and their CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds by the clock on the wall, and of work of this thread alone."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: Span) -> Span:
        return Span(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __sub__(self, other: Span) -> Span:
        return Span(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)


def now() -> Span:
    return Span(time.perf_counter(), time.thread_time())


class Stopwatch:
    """Adds up the spans of the calls that it wraps, until it is reset."""

    def __init__(self) -> None:
        self._total = Span()

    def reset(self) -> Span:
        """Sums since the last reset."""
        total, self._total = self._total, Span()
        return total

    def attach(self, owner: object, method: str) -> None:
        """From here on, calls of `owner.method` count."""
        setattr(owner, method, self.wrap(getattr(owner, method)))

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            started = now()
            try:
                return call(*arguments, **options)
            finally:
                self._total += now() - started

        return timed


class TimedStep:
    """Stands for `owner`, whose own attributes cannot be set, and times its `step`."""

    def __init__(self, owner: Any, stopwatch: Stopwatch) -> None:
        self._owner = owner
        self.step = stopwatch.wrap(owner.step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._owner, name)
