"""What a reading adds to the memory, where `test_policy.py` does not show it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.step_sums import StepSums
from scaler.memory import Memory
from scaler.observation import observe
from scaler.readings import Member, Phase, Readings
from scaler.rules import Rules
from tests.unit.scaler.fleets import WaterFleet, mean_step

RULES = Rules()


def reading(at: float, steps: StepSums, *phases: Phase) -> Readings:
    members = tuple(Member(n, phase, 60.0) for n, phase in enumerate(phases, start=1))
    return replace(WaterFleet(RULES).reading(), at=at, steps=steps, members=members)


@pytest.mark.parametrize("other", ["starting", "draining"])
def test_steps_beside_one_that_starts_or_drains_are_no_pace_of_those_who_are_ready(
    other: Phase,
) -> None:
    memory = Memory(size=1)
    for tick in range(1, 20):
        taken = mean_step(0.1).times(20.0 * tick)
        memory = observe(RULES, memory, reading(2.0 * tick, taken, "ready", other))
    assert memory.gain.steps == StepSums()

    for tick in range(20, 25):
        taken = mean_step(0.1).times(20.0 * tick)
        memory = observe(RULES, memory, reading(2.0 * tick, taken, "ready", "drained"))
    assert memory.gain.steps.n > 0
