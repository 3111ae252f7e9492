from __future__ import annotations

import pytest

from headrace.core.step_sums import StepSums
from headrace.planning.machine import Machine
from scaler.step_curve import StepCurve

MACHINE = Machine(StepCurve(0.1, 0.01, 0.001), slots=4)


def test_a_request_alone_takes_its_prompt_and_its_steps() -> None:
    assert MACHINE.alone_s(prompt=100, output=10) == pytest.approx(0.1 + 10 * 0.11)


def test_full_slots_share_their_steps() -> None:
    assert MACHINE.jobs_per_s(prompt=0, output=10) == pytest.approx(4 / (10 * 0.14))


def test_the_pace_is_what_steps_took_over_what_they_should_have() -> None:
    steps = StepSums(n=10, r=40, p=0, s=2 * 10 * 0.14)
    assert MACHINE.pace(steps) == pytest.approx(2.0)
    assert MACHINE.slower(2.0).pace(steps) == pytest.approx(1.0)
    assert MACHINE.pace(StepSums()) == 1.0
