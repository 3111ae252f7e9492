"""The load: somebody who submits at a pace, and tries again with the same id after an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from redis.exceptions import RedisError

from headrace.core.errors import HeadraceError
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Request
from tests.chaos.acknowledgements import Acknowledgements

TRY_AGAIN_S = 0.05


@dataclass(frozen=True)
class Refusal:
    """A submit that raised, and after how long."""

    error: Exception
    seconds: float

    @property
    def is_clear(self) -> bool:
        """It says what is the matter, in the words of the client library or ours."""
        return isinstance(self.error, RedisError | HeadraceError) and bool(str(self.error))


class Load(threading.Thread):
    """Submits one order after another until it is stopped, or `most` are acknowledged."""

    def __init__(
        self,
        queue: JobQueue,
        acknowledgements: Acknowledgements,
        orders: Iterator[Request],
        pace_s: float,
        most: int,
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.refusals: list[Refusal] = []
        self.accepted = 0
        self._queue = queue
        self._acknowledgements = acknowledgements
        self._orders = orders
        self._pace_s = pace_s
        self._most = most
        self._stopped = threading.Event()

    def run(self) -> None:
        while self.accepted < self._most and not self._stopped.is_set():
            self._place(next(self._orders))
            self._stopped.wait(self._pace_s)

    def stop(self) -> None:
        self._stopped.set()
        self.join(30)

    def _place(self, request: Request) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._queue.submit(request)
            except Exception as error:
                self.refusals.append(Refusal(error, time.monotonic() - began))
                self._stopped.wait(TRY_AGAIN_S)
            else:
                self._acknowledgements.write(request.id)
                self.accepted += 1
                return
