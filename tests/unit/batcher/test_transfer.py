from __future__ import annotations

from array import array

import numpy as np
import pytest
import torch

from batcher.torch_engine.transfer import column, join, to_device

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.float64])
def test_lists_become_tensors_of_the_type_that_was_asked_for(dtype: torch.dtype) -> None:
    expected = torch.tensor([[1, 2], [3, 4]], dtype=dtype)
    assert torch.equal(to_device([[1, 2], [3, 4]], CPU, dtype), expected)
    assert to_device([], CPU, dtype).dtype == dtype


def test_a_column_has_one_number_a_row() -> None:
    assert column([0.5, 1], CPU).tolist() == [[0.5], [1.0]]


def test_arrays_are_joined_as_they_are_and_may_grow_afterwards() -> None:
    arrays = [array("q", [1, -2]), array("q"), array("q", [2**40])]
    assert join(arrays, np.int64).tolist() == [1, -2, 2**40]
    arrays[0].append(3)
    assert join([array("f"), array("f")], np.float32).tolist() == []
