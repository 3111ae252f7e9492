"""How much an API key may submit a minute, and how much of that it has used.

Sliding windows: two counters a limit, the last minute's fading while this one's grows. A fixed
window would let twice the limit pass around its end; a moving one keeps an entry for every token.
`scripts/submit.lua` keeps them, with what it accepts.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.jobs import keys

WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Rates:
    """What a key may submit a minute; None: as much as the queue takes."""

    key_id: str = ""
    requests: int | None = None
    tokens: int | None = None

    @property
    def key(self) -> str:
        """The Redis key where it is counted; `keys.NOTHING` where there is nothing to count for."""
        is_limited = self.requests is not None or self.tokens is not None
        return keys.rate(self.key_id) if is_limited else keys.NOTHING


NO_RATES = Rates()


@dataclass(frozen=True, slots=True)
class Usage:
    """How a key stands with one limit, of `requests` or `tokens` (`kind`).

    The `previous` window counts for the part of it that is left, `left_s` of a minute.
    """

    kind: str
    limit: int
    previous: int
    current: int
    left_s: float

    @property
    def remaining(self) -> int:
        used = int(self.previous * self.left_s / WINDOW_S) + self.current
        return max(0, self.limit - used)

    @property
    def reset_s(self) -> float:
        """Seconds until the whole limit remains again, if nothing more is submitted."""
        return self.wait_s(self.limit)

    def wait_s(self, cost: int) -> float:
        """Seconds until so much more will pass."""
        window = self.previous, self.left_s, self.current, self.left_s + WINDOW_S
        return wait_s(self.limit - cost, *window)


def wait_s(room: int, previous: int, previous_s: float, current: int, current_s: float) -> float:
    """Seconds until the weighted count of two windows has come down to `room`.

    The previous window counts for the part of it that is left, `previous_s` of a minute;
    `current_s` is how long the current one is kept, a minute longer than it lasts.
    """
    if current <= room:
        over = previous * previous_s / WINDOW_S - (room - current)
        return max(0.0, over * WINDOW_S / previous) if previous else 0.0
    return max(0.0, current_s - WINDOW_S) + WINDOW_S * (1 - room / current)
