"""Failpoints: places where a test kills the process, to see what a death just there leaves behind.

`HEADRACE_FAILPOINTS` arms them, separated by commas: `after-claim=kill` kills at the first hit,
`before-finish=kill@3` at the third. Where it is unset, a hit does nothing.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum

from headrace.core.errors import SettingsError
from headrace.core.settings import variable

_SPEC = re.compile(r"(?P<place>[a-z-]+)=kill(@(?P<hit>[1-9][0-9]*))?")


class Failpoint(StrEnum):
    """Places in a worker's turn at which its jobs stand differently in Redis."""

    AFTER_CLAIM = "after-claim"
    """The jobs are leased; the engine does not have them yet."""

    MID_STEP = "mid-step"
    """The engine has stepped; nothing of it is published."""

    BEFORE_FINISH = "before-finish"
    """The results are made, and not handed in."""

    AFTER_FINISH = "after-finish"
    """The results are written; the worker does not act on the answer yet."""


class Failpoints:
    """Where nothing is armed, which is everywhere but in tests."""

    def hit(self, place: Failpoint) -> None:
        """Returns, or ends the process."""


class ArmedFailpoints(Failpoints):
    """`armed` says at which hit of a place the process ends."""

    def __init__(
        self, armed: Mapping[Failpoint, int], kill: Callable[[], None] | None = None
    ) -> None:
        self._armed = armed
        self._kill = kill or _kill_own_process
        self._hits: Counter[Failpoint] = Counter()

    def hit(self, place: Failpoint) -> None:
        self._hits[place] += 1
        if self._hits[place] == self._armed.get(place):
            self._kill()


def make_failpoints(text: str) -> Failpoints:
    """Raises `SettingsError` for a text that names no failpoint or asks for anything but `kill`."""
    if not text.strip():
        return Failpoints()
    return ArmedFailpoints(dict(_parse(spec.strip()) for spec in text.split(",")))


def _parse(spec: str) -> tuple[Failpoint, int]:
    found = _SPEC.fullmatch(spec)
    if found is None or found["place"] not in list(Failpoint):
        raise SettingsError(
            f"{variable('failpoints')}: {spec!r} is not one of {', '.join(Failpoint)}, with "
            "`=kill` or, for the n-th hit, `=kill@n`"
        )
    return Failpoint(found["place"]), int(found["hit"] or 1)


def _kill_own_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
