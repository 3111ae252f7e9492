"""A policy and what it remembers from one tick to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any, Protocol

from headrace.core.settings import Settings
from scaler.crew import find_crew
from scaler.decision import Decision
from scaler.memory import Memory
from scaler.policy import LAWS, decide
from scaler.readings import Reading, Readings
from scaler.rules import Rules
from scaler.start_values import read_start_values

SHARES_MACHINE: Mapping[str, Any] = {"pace_s": inf, "pace_ticks": 8}
"""Where workers share a machine it is worth some ticks to know what the first of them does."""


class Mind(Protocol):
    def decide(self, reading: Reading, now: float) -> Decision:
        """How many workers there should be; `now` is Redis TIME."""


class PolicyMind:
    """The policy of the settings, from the `size` on that its scaler finds."""

    def __init__(self, settings: Settings, size: int | None) -> None:
        self._rules = rules_of(settings)
        self._memory = Memory(size=size)

    def decide(self, reading: Reading, now: float) -> Decision:
        decision, self._memory = decide(self._rules, self._memory, reading, now)
        if decision.holds or decision.is_limited or not isinstance(reading, Readings):
            return decision
        return self._with_wish(decision, reading)

    def _with_wish(self, decision: Decision, reading: Readings) -> Decision:
        """Says how many workers there would be, were they not bounded."""
        rules, memory = self._rules, self._memory
        crew = find_crew(rules, reading, memory.size)
        wish = LAWS[rules.policy](rules, memory, crew, reading).size
        if wish > rules.max_workers:
            reason = f"{wish} would do, {rules.max_workers} is the most: {decision.reason}"
            return replace(decision, reason=reason, is_bounded=True)
        if max(wish, 1) < rules.min_workers:
            reason = f"{max(wish, 1)} would do, {rules.min_workers} is the least: {decision.reason}"
            return replace(decision, reason=reason)
        return decision


def rules_of(settings: Settings) -> Rules:
    """Raises `SettingsError` for start values that cannot be read."""
    return Rules(
        policy=settings.scaler_policy,
        min_workers=settings.scaler_min,
        max_workers=settings.scaler_max or settings.workers,
        slots=settings.max_slots,
        slo_latency_s=settings.slo_latency_s,
        slo_tpot_s=settings.slo_tpot_s,
        stale_s=stale_s(settings),
        down_window_s=settings.scaler_window_s,
        start=read_start_values(start) if (start := settings.scaler_start) else None,
        **(SHARES_MACHINE if settings.scaler_fleet != "kubernetes" else {}),
    )


def stale_s(settings: Settings) -> float:
    """Three ticks."""
    return 3 * settings.scaler_tick_s
