from __future__ import annotations

from collections.abc import Iterable

from headrace.monitor.prober import AGAIN_S, Probed, Prober
from tests.fakes import FakeClock


class Said:
    def __init__(self, problems: Iterable[str | None]) -> None:
        self._problems = iter(problems)

    def problem(self) -> str | None:
        return next(self._problems)


def last_problems(turns: int, *problems: str | None) -> list[str | None]:
    prober = Prober(Said(problems), FakeClock())
    found = []
    for _turn in range(turns):
        prober.turn()
        assert prober.last is not None
        found.append(prober.last.problem)
    return found


def test_one_failure_is_asked_again_and_two_are_believed() -> None:
    assert last_problems(3, None, "away", None, "away", "away") == [None, None, "away"]


def test_one_good_answer_is_enough() -> None:
    assert last_problems(2, "away", "away", None) == ["away", None]


def test_it_remembers_whether_it_was_ever_well() -> None:
    clock = FakeClock()
    prober = Prober(Said(["away", "away", None, "away", "away"]), clock)
    was_well = []
    for _turn in range(3):
        prober.turn()
        assert prober.last is not None
        was_well.append(prober.last.was_well)

    assert was_well == [False, True, True]
    assert prober.last == Probed("away", 0.0, True, began=2 * AGAIN_S, ill_since=AGAIN_S)
    assert clock.now() == 2 * AGAIN_S
