"""Whether further workers raise the throughput, or share one machine that is full.

Workers with machines of their own take as long for a step however many they are. On a shared one a
step of two takes as long as two steps of one: so steps are compared, which needs no full queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from headrace.core.step_sums import StepSums
from scaler.rules import Rules
from scaler.step_curve import StepCurve, fit

LATE_S = 2.0
"""Workers tell of their steps once a second: so long they may be of the stretch before."""

FLOOD_S = 6.0
"""What comes at once takes time of the machine while it is accepted: steps are slower meanwhile."""

MORE = 1.5
"""So many times the workers are compared: what a ninth should bring is less than chance."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Of a number of ready `workers` until `at`; `rows` and `prompts` are those of a mean step."""

    workers: int
    curve: StepCurve
    rows: float
    prompts: float
    at: float


@dataclass(frozen=True, slots=True)
class Gain:
    """Steps of the present stretch, in which `ready` workers took them.

    `paces` are the last one of each number of workers, the fewest first.

    Steps count from `since` on. One stretch without a gain may be chance: two are a limit, which
    holds until `until`; None: no limit is known. `rested`: no step was told of lately.
    """

    ready: int = 0
    steps: StepSums = field(default_factory=StepSums)
    since: float = 0.0
    paces: tuple[Pace, ...] = ()
    doubts: int = 0
    limit: int | None = None
    until: float = 0.0
    rested: bool = True

    def after(
        self, rules: Rules, at: float, ready: int, steps: StepSums, is_settled: bool = True
    ) -> Gain:
        """`steps` were told of since the last reading; now `ready` workers are there.

        A stretch ends when that number changes, or after `gain_watch_s`. While others start or
        drain (`is_settled` is False) there is none: those take the machine's time as well.
        """
        gain = replace(self._forget(at), rested=steps.n <= 0)
        if ready != gain.ready or not is_settled:
            ended = gain._judged(rules, at)
            return replace(ended, ready=ready, steps=StepSums(), since=at + LATE_S)
        if self.rested and not gain.rested:
            return replace(gain, since=at + FLOOD_S)
        if at > gain.since:
            gain = replace(gain, steps=gain.steps.plus(steps))
        return gain._judged(rules, at) if at - gain.since >= rules.gain_watch_s else gain

    def _forget(self, at: float) -> Gain:
        if self.limit is not None and at >= self.until:
            return Gain(self.ready, since=at)
        return self

    def _judged(self, rules: Rules, at: float) -> Gain:
        """The end of a stretch: its pace, beside that of fewer. Too few steps say nothing."""
        curve = fit(self.steps)
        if curve is None:
            return self
        rows, prompts = self.steps.r / self.steps.n, self.steps.p / self.steps.n
        now = Pace(self.ready, curve, rows, prompts, at)
        others = [pace for pace in self.paces if pace.workers != now.workers]
        paces = tuple(sorted([*others, now], key=lambda pace: pace.workers))
        ended = replace(self, steps=StepSums(), since=at, paces=paces, doubts=0)
        fewer = [pace for pace in self.paces if _compares(rules, pace, now)]
        if not fewer:
            return ended
        before = fewer[-1]
        worth = now.workers * before.curve.total(self.steps) / self.steps.s
        if worth - before.workers >= rules.gain_share * (now.workers - before.workers):
            return ended
        if not self.doubts:
            return replace(ended, doubts=1)
        limit = max(before.workers, round(worth))
        return replace(ended, limit=limit, until=at + rules.gain_s)


def _compares(rules: Rules, before: Pace, now: Pace) -> bool:
    """A curve says little of many rows, or long prompts, where it was fitted on few."""
    is_recent = now.at - before.at <= rules.pace_s
    is_seen = 2 * before.rows >= now.rows and 2 * before.prompts >= now.prompts
    return is_recent and is_seen and now.workers >= MORE * before.workers > 0
