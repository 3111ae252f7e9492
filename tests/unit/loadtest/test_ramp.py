from __future__ import annotations

from itertools import takewhile

import pytest

from headrace.loadtest.loads import ClosedLoad, OpenLoad
from headrace.loadtest.ramp import Ramp

RATE = Ramp(2.0, after_s=5.0, seconds=40.0)
USERS = Ramp(1, after_s=5.0, seconds=30.0)


def test_a_rate_rises_in_a_straight_line_after_the_warm_up() -> None:
    assert [RATE.rate(10.0, at_s) for at_s in (0, 5, 25, 45, 60)] == [2, 2, 6, 10, 10]


def test_every_number_of_users_lasts_equally_long() -> None:
    assert [USERS.users(3, at_s) for at_s in (0, 5, 14.9, 15.1, 25.1, 34.9, 50)] == [
        *(1, 1, 1, 2, 3, 3, 3),
    ]
    assert [USERS.joins_s(3, user) for user in range(3)] == [0.0, 15.0, 25.0]
    assert USERS.mean_users(3, 30.0) == pytest.approx(2.0)
    assert USERS.mean_users(3, 10.0) == pytest.approx(1.0)


@pytest.mark.parametrize("until_s", [3.0, 5.0, 12.0, 45.0, 60.0])
def test_as_many_arrive_as_the_rate_adds_up_to(until_s: float) -> None:
    """The integral, summed up in small steps."""
    step_s = 0.001
    expected = sum(RATE.rate(10.0, step_s * each) for each in range(int(until_s / step_s))) * step_s
    assert RATE.arrival_s(10.0, expected) == pytest.approx(until_s, abs=0.01)


def test_poisson_arrivals_follow_the_ramp() -> None:
    load = OpenLoad(40.0, "poisson", 1.0, 0, 8, 4, Ramp(2.0, 0.0, 100.0))
    offsets = [each.offset_s for each in takewhile(lambda it: it.offset_s < 100, load.schedule())]
    early = sum(offset < 50 for offset in offsets)
    assert early == pytest.approx(50 * (2 + 21) / 2, rel=0.15)
    assert len(offsets) - early == pytest.approx(50 * (21 + 40) / 2, rel=0.1)


def test_a_ramp_is_named_by_its_ends() -> None:
    assert ClosedLoad(30, 8, 4, USERS).label == "1:30"
    assert OpenLoad(2.5, "constant", 1.0, 0, 8, 4, Ramp(0.5, 0.0, 1.0)).label == "0.5:2.5"
