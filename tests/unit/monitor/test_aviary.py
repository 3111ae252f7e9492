from __future__ import annotations

from headrace.monitor.aviary import RECENT_S, Aviary
from headrace.monitor.canary import Flight, Outcome


def flown(*outcomes: Outcome) -> Aviary:
    aviary = Aviary()
    for at, outcome in enumerate(outcomes):
        aviary.note(Flight(outcome, 0.1), float(at))
    return aviary


def test_one_late_canary_is_chance_and_two_are_none() -> None:
    assert not flown("good", "late").is_late
    assert flown("good", "late", "late").is_late
    assert flown("late", "failed").is_late
    assert not flown("late", "good", "late").is_late


def test_three_good_ones_clear_it() -> None:
    assert flown("late", "late", "good", "good").is_late
    assert not flown("late", "late", "good", "good", "good").is_late
    assert flown("late", "late", "good", "good", "late", "good", "good").is_late


def test_while_something_is_wrong_the_next_one_comes_at_once() -> None:
    assert flown().is_calm
    assert flown("good").is_calm
    assert not flown("good", "late").is_calm
    assert not flown("late", "late", "good").is_calm
    assert flown("late", "late", "good", "good", "good").is_calm


def test_the_median_is_that_of_the_last_minutes() -> None:
    aviary = Aviary()
    for number in range(30):
        aviary.note(Flight("good", 5.0), float(number))
        aviary.note(Flight("good", 0.2), RECENT_S + 100.0 + number)

    assert aviary.median_s(RECENT_S + 130) == 0.2
    assert aviary.median_s(RECENT_S + 130, seconds=5.0) is None
    assert aviary.counts["good"] == 60
