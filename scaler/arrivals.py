"""How fast work comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import expm1, sqrt

from scaler.readings import Load
from scaler.rules import Rules

CERTAINTY = 3.0
"""So many standard deviations above the slow average the fast one is no chance."""

SPREAD = 1.5
"""Mean square of a job's tokens over the square of their mean, as chat requests have it."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Exponential averages of tokens and jobs a second; while little was seen, plain means."""

    newest: float = 0.0
    fast: float = 0.0
    slow: float = 0.0
    jobs: float = 0.0
    seen_s: float = 0.0

    def after(self, arrived: Load, seconds: float, rules: Rules) -> Arrivals:
        seen_s = self.seen_s + seconds
        constants = rules.newest_s, rules.fast_s, rules.slow_s
        newest, fast, slow = (_weight(constant_s, seconds, seen_s) for constant_s in constants)
        rate = arrived.tokens / seconds
        return replace(
            self,
            newest=self.newest + newest * (rate - self.newest),
            fast=self.fast + fast * (rate - self.fast),
            slow=self.slow + slow * (rate - self.slow),
            jobs=self.jobs + slow * (arrived.jobs / seconds - self.jobs),
            seen_s=seen_s,
        )

    def demand(self, rules: Rules) -> float:
        """Tokens a second to be ready for: the slow average, unless the fast one clearly left."""
        return self._unless_left(self.slow, self.fast, rules.fast_s)

    def crest(self, rules: Rules) -> float:
        """The demand, unless what came in the last seconds clearly left that."""
        return self._unless_left(self.demand(rules), self.newest, rules.newest_s)

    def _unless_left(self, base: float, faster: float, constant_s: float) -> float:
        """`base`, or the `faster` average where it is higher than chance would have it.

        Jobs come by chance: the average over a time constant of T s of jobs that come at rate l
        deviates by sqrt(SPREAD / (2 l T)) of itself.
        """
        if self.jobs <= 0 or base <= 0:
            return max(base, faster)
        noise = base * sqrt(SPREAD / (2 * self.jobs * constant_s))
        return faster if faster > base + CERTAINTY * noise else base


def _weight(constant_s: float, seconds: float, seen_s: float) -> float:
    """Of the newest seconds; as long as little was seen it is a plain mean."""
    return max(-expm1(-seconds / constant_s), min(1.0, seconds / seen_s))
