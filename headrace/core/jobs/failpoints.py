"""Failpoints: places where a test kills the process, to see what a death just there leaves behind.

`HEADRACE_FAILPOINTS` arms them, separated by commas: `after-claim=kill` kills at the first hit,
`before-finish=kill@3` at the third; `stop` stops the process instead, until somebody continues it,
and `crash` ends it as a fault in native code would.
Where it is unset, a hit does nothing.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from headrace.core.errors import SettingsError
from headrace.core.settings import variable

_SPEC = re.compile(r"(?P<place>[a-z-]+)=(?P<action>kill|stop|crash)(@(?P<hit>[1-9][0-9]*))?")
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "crash": signal.SIGSEGV}


class Failpoint(StrEnum):
    """Places in a worker's turn, a scaler's tick, an API's submission: before or after a change."""

    BEFORE_SUBMIT = "before-submit"
    """The API has read the requests, and Redis does not know of them."""

    AFTER_SUBMIT = "after-submit"
    """They are accepted, and nobody is told."""

    AFTER_CLAIM = "after-claim"
    """The jobs are leased; the engine does not have them yet."""

    AFTER_PASS_ON = "after-pass-on"
    """Jobs of another model's card are given back; no claim has set them aside yet."""

    AFTER_PREEMPT = "after-preempt"
    """Jobs have made room for interactive ones; the engine does not have these yet."""

    AFTER_SEND = "after-send"
    """The engine process was sent the jobs; nothing has come back."""

    BEFORE_ENGINE_STEP = "before-engine-step"
    """The engine process has taken the jobs in; it is about to step."""

    AFTER_ENGINE_STEP = "after-engine-step"
    """It has stepped; the worker does not know of it."""

    MID_STEP = "mid-step"
    """The worker has what the engine's step brought; nothing of it is published."""

    BEFORE_FINISH = "before-finish"
    """The results are made, and not handed in."""

    AFTER_FINISH = "after-finish"
    """The results are written; the worker does not act on the answer yet."""

    AFTER_READING = "after-reading"
    """The scaler knows queue and fleet; it has not asked yet whether it leads."""

    AFTER_LEASE = "after-lease"
    """It leads, and has decided nothing."""

    BEFORE_ORDER = "before-order"
    """It has decided, and told nobody."""

    AFTER_ORDER = "after-order"
    """The number, the drain flags and the record stand in Redis."""


class Failpoints:
    """Where nothing is armed, which is everywhere but in tests."""

    def hit(self, place: Failpoint) -> None:
        """Returns, or ends the process."""


@dataclass(frozen=True, slots=True)
class Arming:
    """At which hit of a place the process gets which signal."""

    hit: int
    number: signal.Signals = signal.SIGKILL


class ArmedFailpoints(Failpoints):
    def __init__(
        self,
        armed: Mapping[Failpoint, Arming],
        send: Callable[[signal.Signals], None] | None = None,
    ) -> None:
        self._armed = armed
        self._send = send or _send_own_process
        self._hits: Counter[Failpoint] = Counter()

    def hit(self, place: Failpoint) -> None:
        self._hits[place] += 1
        arming = self._armed.get(place)
        if arming is not None and self._hits[place] == arming.hit:
            self._send(arming.number)


def make_failpoints(text: str) -> Failpoints:
    """Raises `SettingsError` for a text that names no failpoint, or asks for anything else."""
    if not text.strip():
        return Failpoints()
    return ArmedFailpoints(dict(_parse(spec.strip()) for spec in text.split(",")))


def _parse(spec: str) -> tuple[Failpoint, Arming]:
    found = _SPEC.fullmatch(spec)
    if found is None or found["place"] not in list(Failpoint):
        raise SettingsError(
            f"{variable('failpoints')}: {spec!r} is not one of {', '.join(Failpoint)}, with "
            "`=kill` (or `=stop`, `=crash`) or, for the n-th hit, `=kill@n`"
        )
    return Failpoint(found["place"]), Arming(int(found["hit"] or 1), _SIGNALS[found["action"]])


def _send_own_process(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
