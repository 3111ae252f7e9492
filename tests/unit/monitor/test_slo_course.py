from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.connection import Client
from headrace.core.readings.slo_course import DAY_S, KEPT_S, Sample, SloCourse, Tally, totals_of
from headrace.core.readings.slo_store import SloStore

NOW = 1_764_000_000.0
MINUTE_S = 60.0


def course(*samples: Sample) -> SloCourse:
    found = SloCourse()
    for sample in samples:
        found.add(sample)
    return found


def test_a_window_is_what_was_counted_in_it() -> None:
    found = course(*(Sample(NOW + 60 * n, 100 * n, 99 * n, n) for n in range(10)))

    assert found.tally(300, Sample(NOW + 600, 1000, 990, 10)) == Tally(300.0, 500, 495, 5)


def test_what_is_not_known_for_so_long_is_as_long_as_it_is_known() -> None:
    found = course(Sample(NOW, 10, 10, 0))

    assert found.tally(3600, Sample(NOW + 30, 14, 13, 1)) == Tally(30.0, 4, 3, 1)
    assert SloCourse().tally(60, Sample(NOW, 5, 5, 0)).total == 0


def test_the_burn_rate_is_the_bad_share_over_the_one_that_is_allowed() -> None:
    assert Tally(300, 100, 90, 0).burn_rate(0.99) == pytest.approx(10)
    assert Tally(300, 100, 100, 0).burn_rate(0.99) == 0
    assert Tally(300, 0, 0, 0).burn_rate(0.99) is None


increments = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), min_size=1)


@given(increments)
def test_totals_that_begin_anew_lose_nothing_that_was_seen(
    minutes: list[tuple[int, int, bool]],
) -> None:
    found, total, good, all_total, all_good = SloCourse(), 0, 0, 0, 0
    found.add(Sample(NOW, 0, 0, 0))
    for number, (bad, well, is_reset) in enumerate(minutes, start=1):
        if is_reset and total > bad + well:  # else nobody can tell
            total = good = 0
        total, good = total + bad + well, good + well
        all_total, all_good = all_total + bad + well, all_good + well
        found.add(Sample(NOW + 60 * number, total, good, 0))

    tally = found.tally(KEPT_S, Sample(NOW + 60 * len(minutes), total, good, 0))
    assert (tally.total, tally.good) == (all_total, all_good)


def test_an_emptied_redis_counts_for_nothing_until_something_ends() -> None:
    found = course(Sample(NOW, 0, 0, 0), Sample(NOW + 60, 100, 90, 0))

    assert found.tally(3600, Sample(NOW + 65, 0, 0, 0)) == Tally(65.0, 100, 90, 0)


def test_only_thirty_days_are_kept() -> None:
    found = course(*(Sample(NOW + DAY_S * n, n, n, 0) for n in range(40)))

    assert found.tally(KEPT_S, Sample(NOW + DAY_S * 39, 39, 39, 0)).total == 30


def test_what_failed_is_told_from_what_was_late() -> None:
    counts = {"slo": 10, "slo_good": 6, "jobs:finished:stop": 8, "jobs:failed:dead": 2}

    assert totals_of(counts, NOW) == Sample(NOW, total=10, good=6, failed=2)


def test_the_baseline_is_that_of_the_day_but_for_the_last_while() -> None:
    old = [Sample(NOW - 2 * DAY_S + n, 0, 0, 0, 9.0) for n in range(40)]
    day = [Sample(NOW - 3000 + 60 * n, 0, 0, 0, 0.1) for n in range(40)]
    new = [Sample(NOW - 200, 0, 0, 0, 5.0)]
    found = course(*old, *day, *new)

    assert found.canary_baseline_s(NOW, recent_s=300, least=30) == 0.1
    assert found.canary_baseline_s(NOW, recent_s=300, least=41) is None


def test_what_is_stored_is_found_again(redis: Client) -> None:
    store = SloStore(redis)
    for sample in (Sample(NOW - 29 * DAY_S, 1, 1, 0, None), Sample(NOW, 5, 4, 1, 0.25)):
        store.note(sample)
    again = store.course(NOW)

    assert again.newest == NOW
    assert again.tally(KEPT_S, Sample(NOW, 5, 4, 1)) == Tally(29 * DAY_S, 4, 3, 1)
    assert all(redis.ttl(key) > 0 for key in redis.scan_iter("headrace:slo:*"))
