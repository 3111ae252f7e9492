"""Whether further workers raise the throughput, or share one machine that is full."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scaler.rules import Rules

Throughput = tuple[int, float]
"""Ready workers, and output tokens a second of all of them."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Throughput while jobs wait, at the present number of ready workers and at the one before.

    `limit` holds until `until`; None: none is known.
    """

    workers: int = 0
    tokens: float = 0.0
    seconds: float = 0.0
    before: Throughput | None = None
    limit: int | None = None
    until: float = 0.0

    def after(
        self, rules: Rules, at: float, ready: int, is_full: bool, tokens: float, seconds: float
    ) -> Gain:
        """`tokens` were produced within `seconds`; `is_full`: all that time jobs waited."""
        gain = self._forget(at)
        if ready != gain.workers:
            gain = gain._begin(rules, ready)
        elif is_full:
            gain = replace(gain, tokens=gain.tokens + tokens, seconds=gain.seconds + seconds)
        return gain._judge(rules, at)

    def _forget(self, at: float) -> Gain:
        if self.limit is not None and at >= self.until:
            return replace(self, limit=None, before=None)
        return self

    def _begin(self, rules: Rules, ready: int) -> Gain:
        """Where the last number did not last, it is compared with the one before that."""
        known = self.seconds >= rules.gain_watch_s / 2
        before = (self.workers, self.tokens / self.seconds) if known else self.before
        return replace(self, workers=ready, tokens=0.0, seconds=0.0, before=before)

    def _judge(self, rules: Rules, at: float) -> Gain:
        if self.before is None or self.seconds < rules.gain_watch_s:
            return self
        workers, rate = self.before
        due = rate * (self.workers - workers) / workers if workers else 0.0
        if due <= 0 or self.tokens / self.seconds - rate >= rules.gain_share * due:
            return self
        return replace(self, limit=workers, until=at + rules.gain_s, before=None)
