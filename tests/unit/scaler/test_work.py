from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.step_sums import StepSums
from scaler.readings import Load, Readings
from scaler.rules import Rules
from scaler.work import Work
from tests.unit.scaler.fleets import WaterFleet

RULES = Rules()
NOTHING = WaterFleet(RULES).reading()


def steps(n: int, rows: float, prompts: float) -> StepSums:
    """Half of them with twice the rows, so that their curve is 0.05 s + 0.001 s a row."""
    r, rr = n * rows * 1.5, n * rows**2 * 2.5
    s, rs = 0.05 * n + 0.001 * r, 0.05 * r + 0.001 * rr
    p = n * prompts
    return StepSums(n, r, p, s, rr, p * r / n, p * p / n, rs, p * s / n)


def reading(jobs: int, running: int, taken: StepSums, at: float) -> Readings:
    """Jobs of 100 prompt tokens and 50 output tokens ended."""
    return replace(
        NOTHING,
        at=at,
        completed=Load(jobs, 150.0 * jobs),
        produced=50.0 * jobs,
        running=Load(running, 50.0 * running),
        steps=taken,
    )


def test_jobs_that_only_begin_do_not_make_a_worker_slow() -> None:
    """New workers read 100 prompts and wrote next to nothing yet: jobs are what they were."""
    before = reading(0, 0, StepSums(), 1000.0)
    steady = reading(100, 0, steps(100, 32.0, 100.0), 1010.0)
    work = Work().after(before, steady, RULES)
    calm = work.speed(RULES)
    burst = reading(100, 100, steps(200, 32.0, 100.0), 1012.0)
    hectic = work.after(steady, burst, RULES).speed(RULES)

    assert calm is not None
    assert hectic is not None
    assert hectic.tokens_per_s == pytest.approx(calm.tokens_per_s, rel=0.01)


def test_too_few_jobs_tell_nothing() -> None:
    before = reading(0, 0, StepSums(), 1000.0)

    assert Work().after(before, reading(4, 0, steps(50, 8, 10), 1010.0), RULES).speed(RULES) is None


@pytest.mark.parametrize(
    ("slo_tpot_s", "rows", "slo_infeasible"),
    [(0.15, 32, False), (0.0601, 10, False), (0.0531, 32, True), (0.04, 32, True)],
    ids=["all slots", "fewer rows", "so few that a worker does next to nothing", "not even one"],
)
def test_a_worker_runs_as_many_rows_as_the_slo_allows_unless_that_is_no_cure(
    slo_tpot_s: float, rows: int, slo_infeasible: bool
) -> None:
    before = reading(0, 0, StepSums(), 1000.0)
    work = Work().after(before, reading(100, 0, steps(100, 16.0, 0.0), 1010.0), RULES)

    speed = work.speed(replace(RULES, slo_tpot_s=slo_tpot_s))

    assert speed is not None
    assert (speed.rows, speed.slo_infeasible) == (rows, slo_infeasible)
    assert speed.tokens_per_s == pytest.approx(3 * rows / (0.05 + 0.001 * rows))
