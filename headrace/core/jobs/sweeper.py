"""Does what is due once a second, in every process that lives long."""

from __future__ import annotations

from headrace.core.clock import Clock
from headrace.core.jobs.leases import Leases

BEAT_S = 1.0


class Sweeper:
    """Raises `redis.exceptions.RedisError` when the server is away; `beat` may be called again."""

    def __init__(self, leases: Leases, lease_s: float, interval_s: float, clock: Clock) -> None:
        """`interval_s` is how often its owner means to beat."""
        self._leases = leases
        self._lease_s = lease_s
        self._late_s = max(lease_s / 2, 1.5 * interval_s)
        self._clock = clock
        self._last_beat = clock.now()
        self._sweep_from = clock.now() + lease_s

    def beat(self) -> None:
        """Sweeps, unless others may not have renewed their leases yet.

        A late beat says that Redis or this process was away, or that Redis accepted no writes:
        everybody's leases may have run out, and nobody died of it. A first beat does not know.
        """
        now = self._clock.now()
        if now - self._last_beat > self._late_s:
            self._sweep_from = now + self._lease_s
        swept = self._leases.sweep() if now >= self._sweep_from else self._leases.sweep_due()
        swept.log()
        self._last_beat = now  # a beat that Redis did not answer is none
