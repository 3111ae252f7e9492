"""Anything may happen in any order: the size keeps its bounds, and falls only for a reason."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scaler.memory import Memory
from scaler.readings import Unknown
from scaler.rules import Rules
from tests.unit.scaler.fleets import TICK_S, TOKENS_S, WaterFleet

RULES = Rules(min_workers=1, max_workers=20)


class AnyCourse(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.fleet = WaterFleet(RULES)
        self.fleet.tick()
        self.watched_since = self.fleet.now
        self.size = self.fleet.size

    @rule(workers=st.floats(0, 30), ticks=st.integers(1, 40))
    def load(self, workers: float, ticks: int) -> None:
        self.fleet.rate = workers * TOKENS_S
        for _tick in range(ticks):
            before = self.fleet.size
            decision = self.fleet.tick()
            self.check(before)
            assert not decision.holds
            assert decision.reason

    @rule(ticks=st.integers(1, 30))
    def read_nothing(self, ticks: int) -> None:
        before = self.fleet.size
        for _tick in range(ticks):
            assert self.fleet.tick(Unknown("away")).holds
        assert self.fleet.size == before
        if ticks * TICK_S > RULES.gap_s:
            self.watched_since = self.fleet.now

    @rule()
    def restart_scaler(self) -> None:
        self.fleet.memory = Memory(size=self.fleet.size)
        self.watched_since = self.fleet.now
        self.fleet.tick()

    @rule()
    def restart_redis(self) -> None:
        before = self.fleet.size
        self.fleet.flow()
        run_id = f"{self.fleet.run_id}'"
        self.fleet.run_id = run_id
        assert self.fleet.tick().holds
        assert self.fleet.size == before
        self.watched_since = self.fleet.now

    @rule(cold_s=st.floats(1, 60))
    def change_cold_start(self, cold_s: float) -> None:
        self.fleet.cold_s = cold_s

    @rule()
    def meet_nonsense(self) -> None:
        before = self.fleet.size
        reading = replace(self.fleet.reading(), oldest_wait_s=float("nan"))
        assert self.fleet.tick(reading).holds
        assert self.fleet.size == before

    @invariant()
    def within_bounds(self) -> None:
        assert RULES.min_workers <= self.fleet.size <= RULES.max_workers

    def check(self, before: int) -> None:
        after = self.fleet.size
        assert after <= before + max(RULES.growth_workers, int(before * RULES.growth_share))
        if after < before:
            assert self.fleet.now - self.watched_since >= RULES.down_window_s
            assert after >= before - max(1, before // 2) or self.fleet.memory.gain.limit == after


AnyCourse.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestAnyCourse = AnyCourse.TestCase
