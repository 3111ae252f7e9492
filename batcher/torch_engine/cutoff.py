"""Where top-k, top-p and min-p cut a distribution off."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from batcher.torch_engine.blocks import block_sums
from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import column, select, to_device

_HEAD = 64
"""So many of the largest are looked at first, then eight times as many.

Sorting a whole vocabulary costs more than a small model's forward, and few tokens nearly always
hold the mass that is asked for. A GPU sorts it all rather than ask the host.
"""


def cut_off(weights: Tensor, draws: Sequence[Draw]) -> None:
    """Zeroes what the rules of each row leave out; equals of the last one kept stay.

    `weights` [rows, vocabulary]: probabilities, divided by the largest of their row. Top-k goes
    first, then top-p keeps the fewest that reach its share of what is left, then min-p all above
    its share of the largest. Each keeps what is above a limit: the highest of the three counts.
    """
    limited = [row for row, draw in enumerate(draws) if _has_head(draw, weights)]
    if not limited and all(draw.rules.min_p <= 0 for draw in draws):
        return
    least = column([draw.rules.min_p for draw in draws], weights.device)
    if limited:
        head = _least_of_head(select(weights, limited), [draws[row] for row in limited])
        rows = to_device(limited, weights.device)
        least = least.index_copy(0, rows, head.maximum(select(least, limited)))
    weights.masked_fill_(weights < least, 0)


def _has_head(draw: Draw, weights: Tensor) -> bool:
    """Whether top-k or top-p has a say."""
    return draw.rules.top_p < 1 or 0 < draw.rules.top_k < weights.shape[-1]


def _least_of_head(weights: Tensor, draws: Sequence[Draw], head: int = _HEAD) -> Tensor:
    """The least weight [rows, 1] that top-k and top-p keep."""
    if weights.device.type != "cpu" or head >= weights.shape[-1]:
        return _least_kept(weights.sort(dim=-1, descending=True).values, weights, draws)[0]
    least, is_sure = _least_kept(weights.topk(head, dim=-1).values, weights, draws)
    unsure = [row for row, sure in enumerate(is_sure[:, 0].tolist()) if not sure]
    if unsure:
        rest = [draws[row] for row in unsure]
        least[unsure] = _least_of_head(select(weights, unsure), rest, 8 * head)
    return least


def _least_kept(ordered: Tensor, weights: Tensor, draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
    """The same, and whether it is sure, from the largest weights in falling order."""
    ks, shares = _limits(draws, weights)
    kth = ordered.gather(1, ks.clamp(max=ordered.shape[-1]) - 1)
    kept = ordered.masked_fill(ordered < kth, 0)
    cumulated = kept.cumsum(dim=-1, dtype=torch.float64)
    has_top_k = ks < weights.shape[-1]
    wanted = shares * torch.where(has_top_k, cumulated[:, -1:], _mass(weights))
    count = (cumulated - kept < wanted).sum(dim=-1, keepdim=True).clamp(min=1)
    is_sure = torch.where(has_top_k, ordered[:, -1:] < kth, cumulated[:, -1:] >= wanted)
    return ordered.gather(1, count - 1).maximum(kth), is_sure


def _limits(draws: Sequence[Draw], weights: Tensor) -> tuple[Tensor, Tensor]:
    """Top-k and top-p [rows, 1]; the vocabulary and infinity where they are off."""
    end = weights.shape[-1]
    ks = [min(draw.rules.top_k, end) or end for draw in draws]
    shares = [draw.rules.top_p if draw.rules.top_p < 1 else torch.inf for draw in draws]
    device = weights.device
    return column(ks, device, torch.int64), column(shares, device, torch.float64)


def _mass(weights: Tensor) -> Tensor:
    """[rows, 1]"""
    return block_sums(weights).cumsum(dim=-1, dtype=torch.float64)[:, -1:]
