"""Penalties: ids that a row has had already become less likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import join, move

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_SPARE = 64
"""New ids that a row may have, on average, before the entries of all rows are laid out anew."""


class Penalties:
    """The penalties of rows, good for as long as the same rows go on.

    The repetition penalty divides what is positive and multiplies the rest, for every id of prompt
    and output (Keskar et al. 2019). Then OpenAI's: an id's score falls by `presence_penalty` if it
    is in the output, and by `frequency_penalty` for each time. Every id of every row has an entry
    on the device, and a step changes those of the newest ids alone. The entries of a row lie
    together, but for ids that came since they were laid out: those have theirs behind all others.
    """

    def __init__(self, draws: Sequence[Draw], vocabulary: int, device: torch.device) -> None:
        rows = [row for row, draw in enumerate(draws) if draw.has_penalties]
        rules = [draws[row].rules for row in rows]
        self._device = device
        self._seen = [draws[row].seen for row in rows]
        self._bases = np.array([row * vocabulary for row in rows], dtype=np.int64)
        self._rules = np.array(
            [
                [rule.repetition_penalty, rule.presence_penalty, rule.frequency_penalty]
                for rule in rules
            ],
            dtype=np.float32,
        ).reshape(-1, 3)
        self._repeats = bool((self._rules[:, 0] != 1).any())
        self._lay_out()

    def apply(self, scores: Tensor) -> None:
        """Changes `scores` [rows, vocabulary] in place: float32, without gaps between the rows."""
        self._catch_up()
        if self._end == 0:
            return
        flat, places = scores.view(-1), self._places[: self._end]
        factors, presence, frequency = self._amounts[:, : self._end]
        values = flat.index_select(0, places)
        if self._repeats:
            # One of both is 0. A choice by a mask of bools takes five times as long.
            raised, lowered = values.clamp(max=0).mul_(factors), values.clamp(min=0).div_(factors)
            values = lowered.add_(raised)
        flat.scatter_(0, places, values.sub_(presence).sub_(frequency))

    def _lay_out(self) -> None:
        """Makes the entries of all rows, and room for some more."""
        for seen in self._seen:
            seen.catch_up()
        self._sizes = np.array([len(seen.ids) for seen in self._seen], dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._end = int(self._sizes.sum())
        self._late: dict[tuple[int, int], int] = {}
        spare = _SPARE * len(self._seen)
        owners = np.repeat(np.arange(len(self._seen)), self._sizes)
        ids = join([seen.ids for seen in self._seen], np.int64)
        counts = join([seen.counts for seen in self._seen], np.float32)
        places, amounts = self._entries(owners, ids, counts)
        self._places = move(pad(places, (0, spare)), self._device)
        self._amounts = move(pad(amounts, (0, spare)), self._device)

    def _entries(self, rows: Ints, ids: Ints, counts: Floats) -> tuple[Tensor, Tensor]:
        """Places [entries] in flat scores and, for each, a factor and two amounts to take off."""
        amounts = self._rules[rows].T.copy()
        amounts[1] *= counts > 0
        amounts[2] *= counts
        return torch.from_numpy(self._bases[rows] + ids), torch.from_numpy(amounts)

    def _catch_up(self) -> None:
        """Brings the entries of the newest ids up to date."""
        newest = [
            (row, place, seen.ids[place], seen.counts[place])
            for row, seen in enumerate(self._seen)
            for place in seen.catch_up()
        ]
        if not newest:
            return
        rows, numbers, ids, counts = map(np.array, zip(*newest, strict=True))
        where = self._starts[rows] + numbers
        for late in np.flatnonzero(numbers >= self._sizes[rows]):
            where[late] = self._late_entry(rows[late], ids[late])
        if self._end > len(self._places):
            self._lay_out()
            return
        entries = move(torch.from_numpy(where), self._device)
        places, amounts = self._entries(rows, ids, counts.astype(np.float32))
        self._places.index_copy_(0, entries, move(places, self._device))
        self._amounts.index_copy_(1, entries, move(amounts, self._device))

    def _late_entry(self, row: int, token_id: int) -> int:
        """The entry of an id that came behind all that were laid out."""
        entry = self._late.setdefault((row, token_id), self._end)
        self._end = max(self._end, entry + 1)
        return entry
