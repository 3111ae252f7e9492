"""Subset: some rows of a step, picked out of its tensors and put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import to_device


class Subset:
    """Those of `draws` that `belongs` is true of: their `rows`, and their own `draws`."""

    def __init__(
        self, draws: Sequence[Draw], belongs: Callable[[Draw], bool], device: torch.device
    ) -> None:
        self.rows = [row for row, draw in enumerate(draws) if belongs(draw)]
        self.draws = [draws[row] for row in self.rows]
        self.is_all = len(self.rows) == len(draws)
        self._index = to_device(self.rows, device)

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, tensor: Tensor) -> Tensor:
        """These rows of `tensor`; the tensor itself where they are all of them."""
        return tensor if self.is_all else tensor.index_select(0, self._index)

    def put(self, tensor: Tensor, values: Tensor) -> Tensor:
        """`tensor` with `values` in these rows."""
        return values if self.is_all else tensor.index_copy(0, self._index, values)
