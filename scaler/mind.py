"""A policy and what it remembers from one tick to the next."""

from __future__ import annotations

from typing import Protocol

from headrace.core.settings import Settings
from scaler.decision import Decision
from scaler.memory import Memory
from scaler.policy import decide
from scaler.readings import Reading
from scaler.rules import Rules


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
        return decision


def rules_of(settings: Settings) -> Rules:
    return Rules(
        policy=settings.scaler_policy,
        min_workers=settings.scaler_min,
        max_workers=settings.scaler_max or settings.workers,
        slots=settings.max_slots,
        slo_latency_s=settings.slo_latency_s,
        slo_tpot_s=settings.slo_tpot_s,
        stale_s=stale_s(settings),
        down_window_s=settings.scaler_window_s,
    )


def stale_s(settings: Settings) -> float:
    """Three ticks."""
    return 3 * settings.scaler_tick_s
