"""Linear layers that do what follows them in the same operation, where the processor can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

PACKED_ROWS = 16
"""The rows of a tile in AMX: oneDNN multiplies as many at once, whether they are there or not."""


class PlainLinear(nn.Module):
    """Several layers of one input, side by side: [..., in] -> [..., out of all].

    Rows are padded to a `multiple`, which bounds how many kernels oneDNN makes and keeps.
    """

    multiple = 1

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        weights, biases = zip(*map(_parameters, layers), strict=True)
        self.weight = torch.cat(weights) if len(weights) > 1 else weights[0]
        given = [bias for bias in biases if bias is not None]
        self.bias: Tensor | None = torch.cat(given) if given else None

    def forward(self, states: Tensor) -> Tensor:
        return functional.linear(states, self.weight, self.bias)

    def silu(self, states: Tensor) -> Tensor:
        return functional.silu(self.forward(states))

    def times(self, states: Tensor, other: Tensor) -> Tensor:
        return self.forward(states).mul_(other)

    def plus(self, states: Tensor, other: Tensor) -> Tensor:
        return self.forward(states).add_(other)


class PackedLinear(PlainLinear):
    """The same with bf16 weights stored in the order that oneDNN's kernels for a CPU read them.

    Without this, every call puts the weights in order again: for the few rows of a decode step
    that takes longer than the multiplication. `torch.compile` does the same when it freezes a
    model, with the same operators. `rows` is the batch that the weights are laid out for.
    """

    multiple = PACKED_ROWS

    def __init__(self, layers: Sequence[nn.Module], rows: int) -> None:
        super().__init__(layers)
        self.weight = _onednn()._reorder_linear_weight(self.weight.contiguous(), rows)

    def forward(self, states: Tensor) -> Tensor:
        return self._pointwise(states, "none")

    def silu(self, states: Tensor) -> Tensor:
        return self._pointwise(states, "swish")

    def times(self, states: Tensor, other: Tensor) -> Tensor:
        return self._binary(states, other, "mul")

    def plus(self, states: Tensor, other: Tensor) -> Tensor:
        return self._binary(states, other, "add")

    def _pointwise(self, states: Tensor, then: str) -> Tensor:
        output: Tensor = _onednn()._linear_pointwise(states, self.weight, self.bias, then, [], "")
        return output

    def _binary(self, states: Tensor, other: Tensor, then: str) -> Tensor:
        output: Tensor = _onednn()._linear_pointwise.binary(
            states, other, self.weight, self.bias, then
        )
        return output


class Gate(nn.Module):
    """silu(gate) * up of one input, as two products: the second multiplies as it ends."""

    def __init__(self, gate: PlainLinear, up: PlainLinear) -> None:
        super().__init__()
        self._gate, self._up = gate, up

    def forward(self, states: Tensor) -> Tensor:
        return self._up.times(states, self._gate.silu(states))


class Products:
    """Makes a model's products: those of torch, in its own number format."""

    def linear(self, layers: Sequence[nn.Module]) -> PlainLinear:
        return PlainLinear(layers)

    def gate(self, gate: nn.Module, up: nn.Module) -> nn.Module:
        return Gate(self.linear([gate]), self.linear([up]))

    def replaces(self, layer: nn.Module) -> bool:
        """Whether a plain linear layer that stands alone gains from being made anew."""
        return False


class PackedProducts(Products):
    """bf16 weights in oneDNN's order, laid out for batches of `rows`."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def linear(self, layers: Sequence[nn.Module]) -> PlainLinear:
        return PackedLinear(layers, self._rows)

    def replaces(self, layer: nn.Module) -> bool:
        return layer.weight.dtype == torch.bfloat16


def can_pack() -> bool:
    """Whether this build of torch has the two operators, which are not part of its public API."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return all(hasattr(_onednn(), name) for name in names)


def row_multiple(model: nn.Module) -> int:
    """The largest that one of its products has."""
    linears = [module for module in model.modules() if isinstance(module, PlainLinear)]
    return max((linear.multiple for linear in linears), default=1)


def replace_linears(model: nn.Module, products: Products) -> None:
    """Makes every linear layer anew that is nothing more than that, where it gains from it."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if is_plain(child) and products.replaces(child):
                setattr(parent, name, products.linear([child]))


def is_plain(layer: nn.Module) -> bool:
    """True for a product with a weight, plus a bias, and nothing else.

    Quantised and adapted layers are classes of their own, or hook themselves in; a weight that is
    no plain parameter may be computed from others.
    """
    return (
        type(layer) in (nn.Linear, Conv1D)
        and type(layer.weight) is nn.Parameter
        and layer.weight.is_floating_point()
        and "forward" not in vars(layer)
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
    )


def can_join(layers: Sequence[nn.Module]) -> bool:
    """Whether layers of one input may become one: all are plain, and alike."""
    kinds = {(layer.bias is None, layer.weight.dtype) for layer in layers if is_plain(layer)}
    return all(map(is_plain, layers)) and len(kinds) == 1


def _parameters(layer: Any) -> tuple[Tensor, Tensor | None]:
    """Weight [out, in] and bias; GPT-2's Conv1D keeps its weight the other way round."""
    weight = layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    return weight.t() if isinstance(layer, Conv1D) else weight, bias


def _onednn() -> Any:
    return torch.ops.mkldnn
