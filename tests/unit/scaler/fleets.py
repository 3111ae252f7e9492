"""A queue and its fleet on fake time, as a policy reads them: work that flows like water.

A worker is a tap: `TOKENS_S` tokens a second, as long as there is something to do. On a `machine`
for so many workers more of them take longer for each step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from headrace.core.step_sums import StepSums
from scaler.decision import Decision
from scaler.memory import Memory
from scaler.policy import decide
from scaler.readings import Load, Member, Reading, Readings
from scaler.rules import Rules

STEP_S, ROWS, JOB_TOKENS, OUTPUT = 0.1, 32.0, 100.0, 50.0
TICK_S = 2.0
TOKENS_S = 2 * ROWS / STEP_S
"""Half of a job's tokens are produced, by full slots."""


@dataclass
class Tap:
    ready_at: float
    since: float


@dataclass
class WaterFleet:
    """`rate`: tokens a second that arrive. What flows in is served at once, or waits."""

    rules: Rules
    rate: float = 0.0
    cold_s: float = 10.0
    now: float = 1000.0
    memory: Memory = field(default_factory=Memory)
    taps: list[Tap] = field(default_factory=list)
    waiting: float = 0.0
    arrived: float = 0.0
    done: float = 0.0
    steps: StepSums = field(default_factory=StepSums)
    machine: float = inf
    oldest_s: float = 0.0
    run_id: str = "run"
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.memory.size is None:
            self.memory = Memory(size=self.rules.min_workers)
        self.resize(self.memory.size or 0, cold_s=0.0)

    @property
    def size(self) -> int:
        return len(self.taps)

    def resize(self, size: int, cold_s: float | None = None) -> None:
        wait_s = self.cold_s if cold_s is None else cold_s
        del self.taps[size:]
        self.taps += [Tap(self.now + wait_s, self.now) for _new in range(size - len(self.taps))]

    def run(self, seconds: float, **changes: float) -> Decision:
        """Ticks for so long; the last decision."""
        for name, value in changes.items():
            setattr(self, name, value)
        decision = self.tick()
        for _tick in range(int(seconds / TICK_S) - 1):
            decision = self.tick()
        return decision

    def tick(self, reading: Reading | None = None) -> Decision:
        self.flow()
        reading = reading or self.reading()
        decision, self.memory = decide(self.rules, self.memory, reading, self.now)
        if not decision.holds:
            self.resize(decision.size)
        self.sizes.append(self.size)
        return decision

    def flow(self) -> None:
        self.now += TICK_S
        came = self.rate * TICK_S
        ready = sum(tap.ready_at <= self.now for tap in self.taps)
        done = min(self.waiting + came, min(ready, self.machine) * TOKENS_S * TICK_S)
        self.waiting = max(0.0, self.waiting + came - done)
        self.oldest_s = self.oldest_s + TICK_S if self.waiting > JOB_TOKENS else 0.0
        self.arrived += came
        self.done += done
        step = mean_step(STEP_S * max(1.0, ready / self.machine))
        self.steps = step.times(done / (2 * ROWS)).plus(self.steps)

    def reading(self) -> Readings:
        jobs = int(self.waiting // JOB_TOKENS)
        return Readings(
            at=self.now,
            run_id=self.run_id,
            waiting=Load(jobs, self.waiting if jobs else 0.0),
            running=Load(1, JOB_TOKENS) if self.rate else Load(),
            oldest_wait_s=self.oldest_s if jobs else 0.0,
            arrived=Load(int(self.arrived / JOB_TOKENS), self.arrived),
            completed=Load(int(self.done / JOB_TOKENS), self.done),
            steps=self.steps,
            p95_s=None,
            members=tuple(self._member(index, tap) for index, tap in enumerate(self.taps)),
            cold_starts_s=(self.cold_s,),
            produced=self.done * OUTPUT / JOB_TOKENS,
        )

    def _member(self, index: int, tap: Tap) -> Member:
        phase = "ready" if tap.ready_at <= self.now else "starting"
        return Member(index + 1, phase, self.now - tap.since)


def mean_step(seconds: float) -> StepSums:
    """Of as many steps with 31 as with 33 rows, so that a curve can be fitted."""
    squares = ROWS**2 + 1
    return StepSums(1, ROWS, 0.0, seconds, squares, 0.0, 0.0, seconds / ROWS * squares, 0.0)


def workers_for(rate: float, share: float) -> int:
    return -int(-rate // (share * TOKENS_S))
