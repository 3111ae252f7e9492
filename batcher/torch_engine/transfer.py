"""From numbers of the host to tensors of the device."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Number = TypeVar("Number", np.int64, np.float32)

_NUMPY = {torch.int64: np.int64, torch.float32: np.float32, torch.float64: np.float64}


def to_device(values: Any, device: torch.device, dtype: torch.dtype = torch.int64) -> Tensor:
    """`values`, perhaps nested, on `device`; the host does not wait for a GPU to take them."""
    return move(torch.from_numpy(np.array(values, dtype=_NUMPY[dtype])), device)


def column(values: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """[values, 1]: one number a row."""
    return to_device(values, device, dtype)[:, None]


def join(arrays: Sequence[array[Any]], dtype: type[Number]) -> NDArray[Number]:
    """The numbers of `arrays`, which are of `dtype`, one after another."""
    return np.frombuffer(bytearray().join(arrays), dtype=dtype)


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; the host does not wait for a GPU to take it."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
