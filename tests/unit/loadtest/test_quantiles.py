from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.loadtest.quantiles import is_supported, percentile


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (20, 95, 19), (100, 99, 99), (101, 99, 100), (10, 90, 9)],
)
def test_a_percentile_is_the_value_at_its_rank(count: int, percent: int, rank: int) -> None:
    assert percentile(range(1, count + 1), percent) == rank


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([1, 50, 90, 95, 99]))
def test_at_least_that_share_is_at_or_below_it_and_less_below(
    values: list[float], percent: int
) -> None:
    found = percentile(sorted(values), percent)
    needed = math.ceil(len(values) * percent / 100 - 1e-9)
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


def test_p99_is_supported_from_300_values_on() -> None:
    assert not is_supported(99, 299)
    assert is_supported(99, 300)
    assert is_supported(95, 20)
