"""What a batching queue does by its law alone: no sockets, no Redis, no processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceQueue:
    """A step takes `alpha_s + beta_s * rows` and gives each row a token.

    Before each step those who have come are let in, first come first served, up to `slots` rows.
    """

    slots: int
    alpha_s: float
    beta_s: float

    def latencies(self, arrivals: Sequence[float], tokens: int) -> list[float]:
        """Of requests that arrive at these times, s in order, and want `tokens` each."""
        waiting, rows, now = deque(range(len(arrivals))), dict[int, int](), 0.0
        done = [0.0] * len(arrivals)
        while waiting or rows:
            if not rows:
                now = max(now, arrivals[waiting[0]])
            while waiting and len(rows) < self.slots and arrivals[waiting[0]] <= now:
                rows[waiting.popleft()] = tokens
            now += self.alpha_s + self.beta_s * len(rows)
            rows = {number: left - 1 for number, left in rows.items()}
            for number in [number for number, left in rows.items() if left == 0]:
                done[number] = now
                del rows[number]
        return [end - arrival for end, arrival in zip(done, arrivals, strict=True)]
