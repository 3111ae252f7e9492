from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from batcher.torch_engine.blocks import invert, largest, maximum, top_values

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
WIDTHS = [1, 63, 64, 65, 255, 256, 257, 1000, 4096, 4100, 4097]


def with_equals(width: int, dtype: torch.dtype = torch.float32, rows: int = 5) -> Tensor:
    """Small whole numbers: the largest stands in many places."""
    numbers = torch.randint(-3, 4, (rows, width), generator=torch.Generator().manual_seed(width))
    return numbers.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_maximum_is_the_first_of_equals(width: int, dtype: torch.dtype) -> None:
    rows = with_equals(width, dtype)
    values, places = maximum(rows)
    for row, value, place in zip(rows.tolist(), values.tolist(), places.tolist(), strict=True):
        assert value == max(row)
        assert place == row.index(max(row))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_what_is_no_number_is_the_maximum(width: int, odd: float) -> None:
    rows = with_equals(width)
    rows[1, width // 2] = odd
    values, _ = maximum(rows)
    assert values.isfinite().tolist() == [True, False, True, True, True]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_largest_come_in_the_order_of_a_stable_sort(width: int, dtype: torch.dtype) -> None:
    rows = with_equals(width, dtype)
    rows[2] = -torch.inf
    expected = rows.sort(dim=-1, descending=True, stable=True)
    for count in {1, min(3, width), min(20, width)}:
        values, places = largest(rows, count)
        assert torch.equal(values, expected.values[:, :count])
        assert torch.equal(places, expected.indices[:, :count])


@pytest.mark.parametrize("width", [3, 64, 65, 1000, 4096, 4097, 9000])
def test_the_top_values_are_those_of_a_sort(width: int) -> None:
    rows = torch.randn(4, width, generator=torch.Generator().manual_seed(width))
    rows[1] = with_equals(width, rows=1)[0]
    ordered = rows.sort(dim=-1, descending=True).values
    for count in {1, min(3, width), min(64, width)}:
        assert torch.equal(top_values(rows, count), ordered[:, :count])


def test_rows_may_be_views_with_gaps_between_them() -> None:
    whole = with_equals(7000)
    part = whole[::2, 3:6000]
    assert torch.equal(maximum(part)[1], maximum(part.clone())[1])
    assert torch.equal(largest(part, 4)[1], largest(part.clone(), 4)[1])


@settings(deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 1e-30, 0.25, 1.0]), min_size=1, max_size=600),
    share=st.floats(0, 1, exclude_max=True),
)
def test_inverting_meets_the_id_at_which_the_sum_is_passed(
    weights: list[float], share: float
) -> None:
    row = torch.tensor([[*weights, 1.0]])
    found = int(invert(row, torch.tensor([[share]], dtype=torch.float64)))
    cumulated = row.double().cumsum(-1)
    target = share * cumulated[0, -1].item()
    assert row[0, found] > 0
    assert cumulated[0, found] >= target - 1e-9
    assert found == 0 or cumulated[0, found - 1] <= target + 1e-9


def test_a_share_of_nearly_one_stops_at_the_last_weight() -> None:
    row = torch.zeros(1, 1000)
    row[0, 5], row[0, 700] = 1.0, 1e-20
    share = torch.tensor([[1 - 2.0**-52]], dtype=torch.float64)
    assert invert(row, share).item() in (5, 700)
