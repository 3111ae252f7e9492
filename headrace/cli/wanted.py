"""How many workers a supervisor keeps: a number that stands, or what the scaler says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog
from redis.exceptions import RedisError

from headrace.core.clock import Clock
from headrace.core.desired_fleet import DesiredFleet

LOOK_EVERY_S = 0.5

T = TypeVar("T")
log = structlog.get_logger()


class Wanted(Protocol):
    def begin(self) -> None:
        """Before the first worker starts."""

    def size(self) -> int: ...

    def dismiss(self, worker: str) -> bool:
        """Whether a worker that is too many may be told to end: it will never be busy again."""


class FixedNumber:
    """Of a deployment without a scaler."""

    def __init__(self, size: int) -> None:
        self._size = size

    def begin(self) -> None:
        """Nobody has to know."""

    def size(self) -> int:
        return self._size

    def dismiss(self, worker: str) -> bool:
        """Nobody is too many."""
        return False


class ScaledNumber:
    """What stands in Redis. While the server is away, or has lost its data, all stays as it is.

    Nothing is read before a first number was written: an earlier deployment may have left its own.
    """

    def __init__(self, fleet: DesiredFleet, first: int, clock: Clock) -> None:
        self._fleet = fleet
        self._size = first
        self._clock = clock
        self._look_at = self._ask_at = -math.inf
        self._has_begun = False

    def begin(self) -> None:
        self._has_begun = bool(self._ask(self._muster))

    def size(self) -> int:
        if self._clock.now() >= self._look_at:
            self._look_at = self._clock.now() + LOOK_EVERY_S
            self._look()
        return self._size

    def _look(self) -> None:
        if not self._has_begun:
            self.begin()
            return
        size = self._ask(lambda: self._fleet.read().size)
        self._size = self._size if size is None else size

    def _muster(self) -> bool:
        self._fleet.muster(self._size)
        return True

    def dismiss(self, worker: str) -> bool:
        return bool(self._ask(lambda: self._fleet.dismiss(worker)))

    def _ask(self, question: Callable[[], T]) -> T | None:
        """None where there is no answer; then nothing is asked for a while: asking may last."""
        if self._clock.now() < self._ask_at:
            return None
        try:
            return question()
        except (RedisError, ValueError) as error:
            self._ask_at = self._clock.now() + LOOK_EVERY_S
            log.warning("the number of workers stays as it is", error=str(error))
            return None
