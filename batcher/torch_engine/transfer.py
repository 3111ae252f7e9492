"""From lists of the host to tensors of the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def to_device(
    values: Sequence[Any], device: torch.device, dtype: torch.dtype = torch.int64
) -> Tensor:
    """`values`, perhaps nested, on `device`; the host does not wait for a GPU to take them."""
    pinned = device.type == "cuda"
    return torch.tensor(values, dtype=dtype, pin_memory=pinned).to(device, non_blocking=True)


def column(
    values: Sequence[float], device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """[values, 1]: one number a row."""
    return to_device(values, device, dtype)[:, None]


def select(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """These rows of `tensor`; the tensor itself where they are all of them."""
    if len(rows) == len(tensor):
        return tensor
    return tensor.index_select(0, to_device(rows, tensor.device))
