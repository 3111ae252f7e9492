"""Rows of a whole vocabulary, looked at block by block.

A reduction over short blocks is vectorised where one that also wants the place is not; the place is
then looked for in one block only. A block's sum does not depend on how many rows there are, as
that of a whole row does: torch splits a long sum over its threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 256
_SMALL_BLOCK = 64
"""For the largest few: as many blocks as numbers are wanted are sorted."""


def maximum(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each row [rows] and its place; the first of equals. NaN is the largest."""
    if rows.device.type != "cpu":
        return rows.max(dim=-1)
    block = _maxima(rows, _BLOCK).max(dim=-1, keepdim=True).indices
    places = _places(block, _BLOCK).clamp(max=rows.shape[-1] - 1)
    values, within = rows.gather(1, places).max(dim=-1, keepdim=True)
    return values[:, 0], places.gather(1, within)[:, 0]


def largest(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row [rows, count] and their places; of equals the first ones.

    The n largest stand in the n blocks with the largest maxima: each other block has n numbers
    before its own.
    """
    order = _maxima(rows, _SMALL_BLOCK).sort(dim=-1, descending=True, stable=True).indices
    places = _places(order[:, :count].sort(dim=-1).values, _SMALL_BLOCK)
    values = _gather(rows, places, -torch.inf).sort(dim=-1, descending=True, stable=True)
    return values.values[:, :count], places.gather(1, values.indices[:, :count])


def block_sums(rows: Tensor) -> Tensor:
    """[rows, blocks]"""
    whole, rest = _cut(rows, _BLOCK)
    return torch.cat((whole.sum(dim=-1), rest.sum(dim=-1, keepdim=True)), dim=-1)


def invert(weights: Tensor, uniforms: Tensor) -> Tensor:
    """The id [rows] at which the cumulated weights of a row pass `uniforms` [rows, 1] of their sum.

    Weights of 0 are never met.
    """
    sums = block_sums(weights)
    cumulated = sums.cumsum(dim=-1, dtype=torch.float64)
    target = uniforms * cumulated[:, -1:]
    block = torch.searchsorted(cumulated, target, right=True).clamp(max=sums.shape[-1] - 1)
    before = cumulated.gather(1, block) - sums.gather(1, block)
    places = _places(block, _BLOCK)
    inside = _gather(weights, places, 0).cumsum(dim=-1, dtype=torch.float64)
    target = (target - before).clamp(min=0).minimum(inside[:, -1:] * (1 - 2.0**-52))
    within = torch.searchsorted(inside, target, right=True).clamp(max=_BLOCK - 1)
    return places.gather(1, within)[:, 0].clamp(max=weights.shape[-1] - 1)


def _maxima(rows: Tensor, size: int) -> Tensor:
    """[rows, blocks]"""
    whole, rest = _cut(rows, size)
    if rest.shape[-1] == 0:
        return whole.amax(dim=-1)
    return torch.cat((whole.amax(dim=-1), rest.amax(dim=-1, keepdim=True)), dim=-1)


def _cut(rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """[rows, blocks, size] and what is left over."""
    blocks = rows.shape[-1] // size
    end = blocks * size
    return rows[:, :end].view(len(rows), blocks, size), rows[:, end:]


def _places(blocks: Tensor, size: int) -> Tensor:
    """The places of all numbers of some `blocks` [rows, n]: [rows, n * size]."""
    within = torch.arange(size, device=blocks.device)
    return (blocks[:, :, None] * size + within).flatten(1)


def _gather(rows: Tensor, places: Tensor, missing: float) -> Tensor:
    """The numbers at `places`; `missing` behind the end of a row."""
    end = rows.shape[-1]
    return rows.gather(1, places.clamp(max=end - 1)).masked_fill(places >= end, missing)
