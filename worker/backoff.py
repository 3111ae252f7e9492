"""How long a worker waits before it has its engine loaded once more."""

from __future__ import annotations

import math
import random

from headrace.core.clock import Clock

FIRST_S, MOST_S = 0.5, 30.0
FORGIVEN_S = 120.0
"""An engine that lived for this long died of something new."""


class Backoff:
    """The first death costs no wait; those that follow closely cost twice as much each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = -math.inf
        self._deaths = 0

    def wait_s(self) -> float:
        """Seconds to wait after the death that has just happened."""
        now = self._clock.now()
        self._deaths = 0 if now - self._last > FORGIVEN_S else self._deaths + 1
        self._last = now
        if self._deaths == 0:
            return 0.0
        return min(MOST_S, FIRST_S * 2.0 ** (self._deaths - 1)) * random.uniform(0.5, 1.0)
