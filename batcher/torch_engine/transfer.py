"""From numbers of the host to tensors of the device."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_NUMPY = {torch.int64: np.int64, torch.float32: np.float32, torch.float64: np.float64}


def to_device(values: Any, device: torch.device, dtype: torch.dtype = torch.int64) -> Tensor:
    """`values`, perhaps nested, on `device`; the host does not wait for a GPU to take them."""
    return _move(torch.from_numpy(np.array(values, dtype=_NUMPY[dtype])), device)


def column(values: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """[values, 1]: one number a row."""
    return to_device(values, device, dtype)[:, None]


def join(arrays: Sequence[array[Any]], device: torch.device, dtype: torch.dtype) -> Tensor:
    """The numbers of `arrays`, not all of them empty, one after another; they are of `dtype`."""
    return _move(torch.frombuffer(bytearray().join(arrays), dtype=dtype), device)


def repeat(
    values: Sequence[float],
    times: Sequence[int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Each of `values` as many `times` as stands beside it."""
    return to_device(np.repeat(np.array(values, dtype=_NUMPY[dtype]), times), device, dtype)


def _move(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
