"""Linear layers whose weights are stored in the order that oneDNN's bf16 kernels read them.

Without this, every call puts the weights in order again: for the few rows of a decode step that
takes longer than the multiplication. `torch.compile` does the same when it freezes a model, with
the same two operators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """Stands in for an `nn.Linear` on a CPU; `rows` is the batch that it is laid out for."""

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self._weight: Tensor = _onednn()._reorder_linear_weight(linear.weight.detach(), rows)
        self._bias = linear.bias

    def forward(self, states: Tensor) -> Tensor:
        output: Tensor = _onednn()._linear_pointwise(
            states, self._weight, self._bias, "none", [], ""
        )
        return output


def can_pack() -> bool:
    """Whether this build of torch has the two operators, which are not part of its public API."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(_onednn(), name) for name in names)


def pack_linears(model: nn.Module, rows: int) -> None:
    """Replaces every linear layer of the model."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child, rows))


def _onednn() -> Any:
    return torch.ops.mkldnn
