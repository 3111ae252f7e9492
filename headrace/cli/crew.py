"""The workers of `headrace up`: as many as are wanted."""

from __future__ import annotations

from collections.abc import Callable

from headrace.cli.child import Child
from headrace.cli.wanted import Wanted
from headrace.core.clock import Clock

END_S = 5.0
"""What a worker that runs nothing may take to end."""


class Crew:
    """Numbered from 1; `hire` makes the worker of a number.

    The highest numbers go first, and only when they are drained. A worker that is told to end
    cannot be called back: its number starts anew behind it.
    """

    def __init__(self, wanted: Wanted, hire: Callable[[int], Child], clock: Clock) -> None:
        self._wanted = wanted
        self._hire = hire
        self._clock = clock
        self._workers: dict[int, Child] = {}
        self._told_to_end: dict[int, float] = {}

    @property
    def workers(self) -> list[Child]:
        return list(self._workers.values())

    def start(self) -> None:
        self._wanted.begin()
        for child in self._missing(self._wanted.size()):
            child.start()

    def watch(self) -> None:
        """Looks after those that are wanted, starts who is missing, and lets the others go."""
        size = self._wanted.size()
        for number, child in list(self._workers.items()):
            if number <= size and number not in self._told_to_end:
                child.watch()
            else:
                self._let_go(number, child)
        for child in self._missing(size):
            child.watch()  # starts it, and again later where that fails

    def _missing(self, size: int) -> list[Child]:
        missing = [number for number in range(1, size + 1) if number not in self._workers]
        self._workers |= {number: self._hire(number) for number in missing}
        return [self._workers[number] for number in missing]

    def _let_go(self, number: int, child: Child) -> None:
        if not child.is_running:
            child.bury()
            del self._workers[number]
            self._told_to_end.pop(number, None)
        elif number in self._told_to_end:
            if self._clock.now() - self._told_to_end[number] > END_S:
                child.kill()
        elif self._wanted.dismiss(child.run_name):
            self._told_to_end[number] = self._clock.now()
            child.terminate()
