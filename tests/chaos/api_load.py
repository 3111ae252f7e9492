"""Callers of an API: they submit jobs at a pace, and repeat a request until its job is told."""

from __future__ import annotations

import itertools
import random
import threading
import time

import httpx

from tests.chaos.acknowledgements import Acknowledgements

TIMEOUT_S = 10.0
TRY_AGAIN_S = 0.1


class ApiLoad(threading.Thread):
    """`answers` counts accepted jobs; `slowest_s` is the longest that an accepted one took.

    `refusals` holds status and text of every other answer.
    """

    def __init__(
        self,
        url: str,
        acknowledgements: Acknowledgements,
        dice: random.Random,
        tokens: tuple[int, int],
        pace_s: float = 0.1,
    ) -> None:
        super().__init__(name="api-load", daemon=True)
        self.accepted = 0
        self.slowest_s = 0.0
        self.refusals: list[tuple[int, str]] = []
        self._url = f"{url}/v1/jobs"
        self._acknowledgements = acknowledgements
        self._dice = dice
        self._tokens = tokens
        self._pace_s = pace_s
        self._stopped = threading.Event()

    def run(self) -> None:
        for number in itertools.count(1):
            body = {
                "prompt": f"hello {number}",
                "max_tokens": self._dice.randint(*self._tokens),
                "temperature": 0,
            }
            while not self._stopped.is_set() and not self._ask(f"order-{number}", body):
                self._stopped.wait(TRY_AGAIN_S)
            if self._stopped.wait(self._pace_s):
                return

    def stop(self) -> None:
        self._stopped.set()
        self.join(2 * TIMEOUT_S)

    def _ask(self, key: str, body: dict[str, object]) -> bool:
        began = time.monotonic()
        try:
            answer = httpx.post(
                self._url, json=body, headers={"Idempotency-Key": key}, timeout=TIMEOUT_S
            )
        except httpx.TransportError as error:
            self.refusals.append((0, repr(error)))
            return False
        if answer.status_code != 202:
            self.refusals.append((answer.status_code, answer.text))
            return False
        self._acknowledgements.write(answer.json()["id"])
        self.accepted += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        return True
