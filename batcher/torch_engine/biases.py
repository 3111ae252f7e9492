"""Biases: what requests add to the scores of single ids, and ends that come too early."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import to_device

_NEVER = -torch.inf


class Biases:
    """The biases of rows, good for as long as the same rows go on.

    A row's `logit_bias` stays. Its ends lie at minus infinity until it has `min_tokens`.
    """

    def __init__(self, draws: Sequence[Draw], vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._draws = [(row, draw) for row, draw in enumerate(draws) if draw.has_biases]
        self._endless: list[int] | None = None

    def apply(self, scores: Tensor) -> None:
        """Changes `scores` [rows, vocabulary] in place: float32, without gaps between the rows."""
        if not self._draws:
            return
        endless = [row for row, draw in self._draws if draw.holds_back_ends and not draw.may_end]
        if endless != self._endless:
            self._endless = endless
            self._lay_out()
        scores.view(-1).index_add_(0, self._places, self._amounts)

    def _lay_out(self) -> None:
        entries = [entry for row, draw in self._draws for entry in self._entries(row, draw)]
        self._places = to_device([place for place, _amount in entries], self._device)
        amounts = [amount for _place, amount in entries]
        self._amounts = to_device(amounts, self._device, torch.float32)

    def _entries(self, row: int, draw: Draw) -> Iterator[tuple[int, float]]:
        """Places in flat scores, and what is added to each. A model's files may name other ids."""
        base = row * self._vocabulary
        for token_id, bias in draw.rules.logit_bias:
            yield base + token_id, bias
        if draw.holds_back_ends and not draw.may_end:
            yield from ((base + end, _NEVER) for end in draw.ends if end < self._vocabulary)
