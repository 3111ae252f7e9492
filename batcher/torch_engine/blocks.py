"""Rows of a whole vocabulary, looked at block by block.

A reduction over short blocks is vectorised where one that also wants the place is not; the place is
then looked for in one block only. A block's sum does not depend on how many rows there are, as
that of a whole row does: torch splits a long sum over its threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_BLOCK = 256
_SMALL_BLOCK = 64
"""For the largest few: as many blocks as numbers are wanted are sorted."""

_LEAST_PARTED = 4096
"""Numbers of a row: sorting fewer takes no longer than taking them apart before."""


def maximum(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each row [rows] and its place; the first of equals. NaN is the largest."""
    if rows.device.type != "cpu":
        return rows.max(dim=-1)
    if rows.dtype == torch.float32:
        places = torch.from_numpy(rows.numpy().argmax(axis=-1, keepdims=True))
        return rows.gather(1, places)[:, 0], places[:, 0]
    block = _maxima(rows, _BLOCK).max(dim=-1, keepdim=True).indices
    numbers, starts = _pick(rows, block, _BLOCK, -torch.inf)
    values, within = numbers.max(dim=-1)
    return values[:, 0], (starts + within)[:, 0]


def largest(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row [rows, count] and their places; of equals the first ones.

    The n largest stand in the n blocks with the largest maxima: each other block has n numbers
    before its own.
    """
    order = _maxima(rows, _SMALL_BLOCK).sort(dim=-1, descending=True, stable=True).indices
    blocks = order[:, :count].sort(dim=-1).values
    numbers, starts = _pick(rows, blocks, _SMALL_BLOCK, -torch.inf)
    places = starts[:, :, None] + torch.arange(numbers.shape[-1], device=rows.device)
    values = numbers.flatten(1).sort(dim=-1, descending=True, stable=True)
    return values.values[:, :count], places.flatten(1).gather(1, values.indices[:, :count])


def top_values(rows: Tensor, count: int) -> Tensor:
    """The `count` largest of each row [rows, count] in falling order, on a CPU.

    numpy sorts ten times as fast as torch.
    """
    numbers = rows
    if rows.shape[-1] >= 2 * count * _SMALL_BLOCK:  # else most blocks would be looked at
        maxima = _maxima(rows, _SMALL_BLOCK).numpy()
        blocks = np.argpartition(maxima, -count, axis=-1)[:, -count:]
        numbers = _pick(rows, torch.from_numpy(blocks), _SMALL_BLOCK, -torch.inf)[0].flatten(1)
    rest, head = numbers.shape[-1] - count, numbers.numpy()
    if numbers.shape[-1] > _LEAST_PARTED:
        head, rest = np.partition(head, rest, axis=-1)[:, rest:], 0
    return torch.from_numpy(np.sort(head, axis=-1)[:, rest:]).flip(-1)


def block_sums(rows: Tensor) -> Tensor:
    """[rows, blocks]"""
    whole, rest = _cut(rows, _BLOCK)
    if rest.shape[-1] == 0:
        return whole.sum(dim=-1)
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
    numbers, starts = _pick(weights, block, _BLOCK, 0)
    inside = numbers[:, 0].cumsum(dim=-1, dtype=torch.float64)
    target = (target - before).clamp(min=0).minimum(inside[:, -1:] * (1 - 2.0**-52))
    within = torch.searchsorted(inside, target, right=True).clamp(max=inside.shape[-1] - 1)
    return (starts + within)[:, 0]


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


def _pick(rows: Tensor, blocks: Tensor, size: int, missing: float) -> tuple[Tensor, Tensor]:
    """The numbers [rows, n, size] of some `blocks` [rows, n], and where in its row each begins.

    A short block at the end of a row begins earlier instead, and `missing` stands for what it would
    have of the block before it. The numbers of a row must not have gaps; rows may.
    """
    end, gap = rows.shape[-1], rows.stride(0)
    size = min(size, end)
    wanted = blocks * size
    starts = wanted.clamp(max=end - size) if end % size else wanted
    windows = rows.as_strided(((len(rows) - 1) * gap + end - size + 1, size), (1, 1))
    offsets = starts + (torch.arange(len(rows), device=rows.device) * gap)[:, None]
    numbers = windows.index_select(0, offsets.flatten()).view(*blocks.shape, size)
    if end % size:
        within = torch.arange(size, device=rows.device)
        numbers.masked_fill_(within < (wanted - starts)[:, :, None], missing)
    return numbers, starts
