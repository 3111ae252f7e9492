from __future__ import annotations

import random
from collections.abc import Iterable
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.step_sums import StepSums
from scaler.step_curve import StepCurve, fit

CURVE = StepCurve(0.02, 0.001, 0.0005)
Step = tuple[float, float, float]


def sums_of(steps: Iterable[Step]) -> StepSums:
    """Of steps of (rows, prompt tokens, seconds)."""
    sums = StepSums()
    for r, p, s in steps:
        sums = sums.plus(StepSums(1, r, p, s, r * r, r * p, p * p, r * s, p * s))
    return sums


def steps_of(curve: StepCurve, shapes: Iterable[tuple[float, float]]) -> list[Step]:
    return [(r, p, curve.seconds(r, p)) for r, p in shapes]


def mixed_shapes() -> list[tuple[float, float]]:
    draw = random.Random(0)
    return [(draw.randint(1, 32), draw.choice((0, 0, 100, 240))) for _step in range(200)]


def test_exact_steps_give_back_their_curve() -> None:
    curve = fit(sums_of(steps_of(CURVE, mixed_shapes())))

    assert curve is not None
    assert curve.alpha == pytest.approx(CURVE.alpha, rel=1e-6)
    assert curve.beta == pytest.approx(CURVE.beta, rel=1e-6)
    assert curve.gamma == pytest.approx(CURVE.gamma, rel=1e-6)


def test_without_prompts_rows_alone_are_fitted() -> None:
    curve = fit(sums_of(steps_of(CURVE, [(rows, 0) for rows in range(1, 33)])))

    assert curve is not None
    assert (curve.alpha, curve.beta) == (pytest.approx(0.02), pytest.approx(0.001))
    assert curve.gamma == 0


def test_where_rows_never_vary_prompts_alone_are_fitted() -> None:
    curve = fit(sums_of(steps_of(CURVE, [(8, p) for p in range(40)])))

    assert curve is not None
    assert (curve.beta, curve.gamma) == (0, pytest.approx(0.0005))
    assert curve.alpha == pytest.approx(0.028)


def test_equal_steps_take_their_mean() -> None:
    assert fit(sums_of([(8, 0, 0.03)] * 50)) == StepCurve(pytest.approx(0.03), 0.0, 0.0)


def test_of_a_few_steps_nothing_is_said() -> None:
    assert fit(sums_of([(1, 0, 0.03), (2, 0, 0.04)])) is None
    assert fit(StepSums()) is None


def test_steps_that_get_faster_with_rows_do_not_make_rows_free_of_charge() -> None:
    curve = fit(sums_of([(r, 0, 0.1 - 0.001 * r) for r in range(1, 33)]))

    assert curve is not None
    assert min(curve.alpha, curve.beta, curve.gamma) >= 0


def test_a_window_holds_what_came_after_its_beginning() -> None:
    early, late = sums_of([(1, 0, 0.1)] * 3), sums_of([(1, 0, 0.1)] * 3 + [(4, 2, 0.5)])

    assert isclose(late.minus(early).s, 0.5)
    assert late.minus(early).rp == 8


def test_the_most_rows_are_those_whose_step_stays_in_time() -> None:
    assert CURVE.rows_within(0.15, prompts_a_row=0, slots=1000) == 130
    assert CURVE.rows_within(0.15, prompts_a_row=2, slots=1000) == 65
    assert CURVE.rows_within(0.15, prompts_a_row=0, slots=32) == 32
    assert CURVE.rows_within(0.0205, prompts_a_row=0, slots=32) == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.integers(0, 512), st.floats(1e-3, 10.0)),
        min_size=20,
        max_size=60,
    )
)
def test_whatever_was_measured_a_curve_is_never_negative(steps: list[Step]) -> None:
    curve = fit(sums_of(steps))

    assert curve is not None
    assert min(curve.alpha, curve.beta, curve.gamma) >= 0
    assert curve.seconds(1, 0) > 0 or curve.seconds(1, 1) > 0
