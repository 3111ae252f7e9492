from __future__ import annotations

from headrace.core.step_sums import StepSums

ONE = StepSums(1, 3, 10, 0.04, 9, 30, 100, 0.12, 0.4)


def test_counts_are_whole_millionths_of_a_second() -> None:
    counts = {"steps:n": 1, "steps:r": 3, "steps:p": 10, "steps:s": 40_000, "steps:rr": 9}
    counts |= {"steps:rp": 30, "steps:pp": 100, "steps:rs": 120_000, "steps:ps": 400_000}
    assert StepSums.of_counts(counts) == ONE


def test_who_has_counted_nothing_has_no_steps() -> None:
    assert StepSums.of_counts({}) == StepSums()


def test_what_was_added_is_taken_away_again() -> None:
    assert ONE.plus(ONE).minus(ONE) == ONE


def test_sums_fade() -> None:
    assert ONE.times(0.5).plus(ONE.times(0.5)) == ONE
