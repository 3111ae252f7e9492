"""Int8Linear: products of weights of 8 bits, for processors that are fastest at those.

Weights are quantised once, symmetrically, with a scale for each output. Inputs are quantised as
they come, with a scale for each row, to 16 bits: a coarse byte and a fine one, multiplied side by
side. Bytes alone put SmolLM2 0.04 nats a token from itself, the pair adds nothing to the 0.004 of
its weights. Sums of whole numbers are exact, so that no row's product depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from batcher.torch_engine.linear import PlainLinear, Products

MOST = 127
"""The largest code of a weight and, beside ZERO, of an input."""

ZERO = 128
"""What oneDNN takes off an input's byte: it multiplies bytes without a sign by ones with it."""

FINE = 254
"""Fine steps in a coarse one."""

_LEAST = 1e-30
"""Keeps an output whose weights are all zero from being divided by zero."""


class Int8Linear(PlainLinear):
    """Several layers of one input, side by side: [..., in] -> [..., out of all], in float32.

    `rows` is the batch that the weights are laid out for.
    """

    multiple = 8

    def __init__(self, layers: Sequence[nn.Module], rows: int) -> None:
        super().__init__(layers)
        scales = self.weight.abs().amax(dim=1).clamp(min=_LEAST) / MOST
        codes = (self.weight / scales[:, None]).round_().to(torch.int8).contiguous()
        self.weight = _onednn().qlinear_prepack(codes, [2 * rows, codes.shape[1]])
        self._scales = scales / MOST
        self._zeros = torch.zeros(len(scales), dtype=torch.int64)
        self._coarse_zero = torch.tensor(ZERO + 0.5)  # a half, since a cast rounds down
        self._fine_zero = torch.tensor(ZERO + 0.5 - FINE / 2)

    def forward(self, states: Tensor) -> Tensor:
        product, largest = self._multiply(states)
        if self.bias is None:
            return product.mul_(largest)
        return torch.addcmul(self.bias, product, largest)

    def plus(self, states: Tensor, other: Tensor) -> Tensor:
        product, largest = self._multiply(states)
        total = torch.addcmul(other, product, largest)
        return total if self.bias is None else total.add_(self.bias)

    def _multiply(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The product for rows scaled to [-1, 1], and the scale [..., 1] of each.

        A row of zeros has any finite product, and the scale 0. A row with a number that is none has
        such a scale.
        """
        largest = states.abs().amax(dim=-1, keepdim=True)
        rest = torch.addcdiv(self._coarse_zero, states, largest, value=MOST)
        codes = torch.empty((2, *states.shape), dtype=torch.uint8)
        coarse, fine = codes.unbind()
        rest.sub_(coarse.copy_(rest))
        fine.copy_(torch.add(self._fine_zero, rest, alpha=FINE))
        products: Tensor = _onednn().qlinear_pointwise(
            *(codes, 1.0, ZERO, self.weight, self._scales, self._zeros, None),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return torch.add(products[0], products[1], alpha=1 / FINE), largest


class Int8Gate(nn.Module):
    """silu(gate) * up of one input as one product: the input is quantised once."""

    def __init__(self, gate: nn.Module, up: nn.Module, rows: int) -> None:
        super().__init__()
        self._both = Int8Linear([gate, up], rows)

    def forward(self, states: Tensor) -> Tensor:
        gate, up = self._both.forward(states).chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)


class Int8Products(Products):
    """8-bit weights, laid out for batches of `rows`."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def linear(self, layers: Sequence[nn.Module]) -> PlainLinear:
        return Int8Linear(layers, self._rows)

    def gate(self, gate: nn.Module, up: nn.Module) -> nn.Module:
        return Int8Gate(gate, up, self._rows)

    def replaces(self, layer: nn.Module) -> bool:
        return True


def has_int8() -> bool:
    """Whether this build of torch has the two operators, which are not part of its public API."""
    return all(hasattr(_onednn(), name) for name in ("qlinear_prepack", "qlinear_pointwise"))


def _onednn() -> Any:
    return torch.ops.onednn
