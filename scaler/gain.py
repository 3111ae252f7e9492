"""Whether further workers raise the throughput, or share one machine that is full."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scaler.rules import Rules

LONGEST = 5
"""Stretches that lie further apart, in `gain_watch_s`, are not compared."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Ready workers in the mean, and tokens a second, read or written by all, until `at`."""

    workers: float
    rate: float
    at: float


@dataclass(frozen=True, slots=True)
class Gain:
    """Sums over the present stretch of time in which jobs waited, and the stretch before it.

    One stretch without a gain may be chance, or prompts that are read first: two are a limit.
    `limit` holds until `until`; None: none is known.
    """

    ready: int = 0
    tokens: float = 0.0
    seconds: float = 0.0
    worker_s: float = 0.0
    before: Throughput | None = None
    doubts: int = 0
    limit: int | None = None
    until: float = 0.0

    def after(
        self, rules: Rules, at: float, ready: int, is_full: bool, tokens: float, seconds: float
    ) -> Gain:
        """`tokens` were produced within `seconds`; `is_full`: all that time jobs waited.

        A stretch ends after `gain_watch_s`, or after half of that if the fleet changed.
        """
        gain = self._forget(at)
        least_s = rules.gain_watch_s / (1 if ready == gain.ready else 2)
        if gain.seconds >= least_s:
            gain = gain._judge(rules, at)
        if not is_full:
            return replace(gain, ready=ready)
        return replace(
            gain,
            ready=ready,
            tokens=gain.tokens + tokens,
            seconds=gain.seconds + seconds,
            worker_s=gain.worker_s + ready * seconds,
        )

    def _forget(self, at: float) -> Gain:
        if self.limit is not None and at >= self.until:
            return Gain(self.ready)
        return self

    def _judge(self, rules: Rules, at: float) -> Gain:
        """Ends the stretch: what it gained over the one before."""
        now = Throughput(self.worker_s / self.seconds, self.tokens / self.seconds, at)
        ended = Gain(self.ready, before=now, limit=self.limit, until=self.until)
        before = self.before
        if before is None or at - before.at > LONGEST * rules.gain_watch_s:
            return ended
        more = now.workers - before.workers
        due = before.rate * more / before.workers if before.workers else 0.0
        if more < 0.5 or now.rate - before.rate >= rules.gain_share * due:
            return ended
        if not self.doubts:
            return replace(ended, before=before, doubts=1)
        return replace(ended, limit=max(1, round(before.workers)), until=at + rules.gain_s)
