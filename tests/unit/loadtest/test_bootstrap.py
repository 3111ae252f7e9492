from __future__ import annotations

import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.loadtest.bootstrap import block_length, intervals, resamples_for

MEDIAN_OF_EXPONENTIAL = math.log(2)


def test_the_interval_holds_the_true_median_about_95_times_of_100() -> None:
    draw = random.Random(5)
    samples = ([draw.expovariate(1) for _ in range(120)] for _ in range(100))
    found = [intervals(sample, [50], block_length(120, 1), seed=0)[50] for sample in samples]
    assert 88 <= sum(low <= MEDIAN_OF_EXPONENTIAL <= high for low, high in found) <= 100


def test_requests_that_share_batches_widen_the_interval() -> None:
    draw = random.Random(5)
    batches = [draw.expovariate(1) for _ in range(20)]
    values = [batch for batch in batches for _mate in range(15)]
    alone = intervals(values, [50], 1, seed=0)[50]
    together = intervals(values, [50], block_length(len(values), 15), seed=0)[50]
    assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])


def test_a_seed_gives_the_same_interval_again() -> None:
    values = [random.Random(1).random() for _ in range(50)]
    assert intervals(values, [95], 4, seed=2) == intervals(values, [95], 4, seed=2)


def test_one_value_is_its_own_interval() -> None:
    assert intervals([3.0], [50, 99], block_length(1, 30), seed=0) == {50: (3, 3), 99: (3, 3)}


@pytest.mark.parametrize(
    ("count", "in_flight", "block"), [(1000, 1, 10), (1000, 30, 30), (40, 30, 20), (1, 30, 1)]
)
def test_blocks_are_as_long_as_what_runs_together(count: int, in_flight: int, block: int) -> None:
    assert block_length(count, in_flight) == block


def test_more_values_get_fewer_resamples() -> None:
    assert [resamples_for(count) for count in (10, 2_000, 20_000, 10**7)] == [1000, 1000, 100, 50]


def test_a_thousand_requests_take_less_than_two_seconds() -> None:
    values = [random.Random(1).random() for _ in range(1000)]
    began = time.process_time()
    intervals(values, [50, 90, 95, 99], 10, seed=0)
    assert time.process_time() - began < 2


@settings(max_examples=30)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60),
    st.floats(0, 100),
    st.integers(0, 5),
)
def test_an_interval_lies_within_its_values(
    values: list[float], in_flight: float, seed: int
) -> None:
    block = block_length(len(values), in_flight)
    for low, high in intervals(values, [1, 50, 99], block, seed).values():
        assert min(values) <= low <= high <= max(values)
