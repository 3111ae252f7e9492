"""Where top-k, top-p and min-p cut a distribution off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from batcher.torch_engine.blocks import block_sums, top_values
from batcher.torch_engine.draw import Draw
from batcher.torch_engine.subset import Subset
from batcher.torch_engine.transfer import column

_HEAD = 64
"""So many of the largest are looked at first, then eight times as many.

Sorting a whole vocabulary costs more than a small model's forward, and few tokens nearly always
hold the mass that is asked for. A GPU sorts it all rather than ask the host.
"""


class Cuts:
    """Cuts that the rules of some rows make in distributions over `vocabulary` ids.

    Top-k goes first, then top-p keeps the fewest that reach its share of what is left, then min-p
    all above its share of the largest. Each keeps what is above a limit: the highest of the three
    counts. Equals of the last one kept stay.
    """

    def __init__(self, draws: Sequence[Draw], vocabulary: int, device: torch.device) -> None:
        def has_head(draw: Draw) -> bool:
            return draw.rules.top_p < 1 or 0 < draw.rules.top_k < vocabulary

        self._limited = Subset(draws, has_head, device)
        self._heads = Heads.of(self._limited.draws, vocabulary, device)
        self._is_idle = not self._limited and all(draw.rules.min_p <= 0 for draw in draws)
        self._min_ps = column([draw.rules.min_p for draw in draws], device)

    def apply(self, weights: Tensor) -> None:
        """Zeroes what is left out of `weights` [rows, vocabulary].

        They are probabilities, divided by the largest of their row.
        """
        if self._is_idle:
            return
        least, limited = self._min_ps, self._limited
        if limited:
            head = _least_of_head(limited.of(weights), self._heads)
            least = limited.put(least, head.maximum(limited.of(least)))
        # Filling by a mask of bools takes three times as long.
        weights.mul_(weights.clone().ge_(least))


@dataclass(frozen=True, slots=True)
class Heads:
    """Top-k and top-p of rows [rows, 1]; the vocabulary and infinity where they are off.

    `has_top_k` [rows, 1] is None where it is off in all rows.
    """

    ks: Tensor
    shares: Tensor
    has_top_k: Tensor | None

    @classmethod
    def of(cls, draws: Sequence[Draw], vocabulary: int, device: torch.device) -> Heads:
        ks = [min(draw.rules.top_k, vocabulary) or vocabulary for draw in draws]
        shares = [draw.rules.top_p if draw.rules.top_p < 1 else torch.inf for draw in draws]
        limits = column(ks, device, torch.int64)
        has_top_k = limits < vocabulary if min(ks, default=vocabulary) < vocabulary else None
        return cls(limits, column(shares, device, torch.float64), has_top_k)

    def pick(self, rows: Sequence[int]) -> Heads:
        """Those of some rows."""
        has_top_k = None if self.has_top_k is None else self.has_top_k[rows]
        return Heads(self.ks[rows], self.shares[rows], has_top_k)


def _least_of_head(weights: Tensor, heads: Heads, head: int = _HEAD) -> Tensor:
    """The least weight [rows, 1] that top-k and top-p keep."""
    if weights.device.type != "cpu" or head >= weights.shape[-1]:
        return _least_kept(weights.sort(dim=-1, descending=True).values, weights, heads)[0]
    least, is_sure = _least_kept(top_values(weights, head), weights, heads)
    unsure = [row for row, sure in enumerate(is_sure[:, 0].tolist()) if not sure]
    if unsure:
        least[unsure] = _least_of_head(weights[unsure], heads.pick(unsure), 8 * head)
    return least


def _least_kept(ordered: Tensor, weights: Tensor, heads: Heads) -> tuple[Tensor, Tensor]:
    """The same, and whether it is sure, from the largest weights in falling order."""
    mass = _mass(weights)
    if heads.has_top_k is None:
        return _reach(ordered, ordered.cumsum(dim=-1, dtype=torch.float64), heads.shares * mass)
    kth = ordered.gather(1, heads.ks.clamp(max=ordered.shape[-1]) - 1)
    cumulated = ordered.masked_fill(ordered < kth, 0).cumsum(dim=-1, dtype=torch.float64)
    wanted = heads.shares * torch.where(heads.has_top_k, cumulated[:, -1:], mass)
    least, is_reached = _reach(ordered, cumulated, wanted)
    is_sure = torch.where(heads.has_top_k, ordered[:, -1:] < kth, is_reached)
    return least.maximum(kth), is_sure


def _reach(ordered: Tensor, cumulated: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The weight with which the cumulated ones reach what is `wanted`, and whether one does."""
    place = torch.searchsorted(cumulated, wanted).clamp_(max=ordered.shape[-1] - 1)
    return ordered.gather(1, place), cumulated[:, -1:] >= wanted


def _mass(weights: Tensor) -> Tensor:
    """[rows, 1]"""
    return block_sums(weights).cumsum(dim=-1, dtype=torch.float64)[:, -1:]
