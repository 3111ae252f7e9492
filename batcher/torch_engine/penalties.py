"""Penalties: ids that a row has had already become less likely."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import join, move, to_device

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
            values = values.clamp(max=0).mul_(factors) + values.clamp(min=0).div_(factors)
        flat.scatter_(0, places, values.sub_(presence).sub_(frequency))

    def _lay_out(self) -> None:
        """Makes the entries of all rows, and room for some more."""
        for seen in self._seen:
            seen.catch_up()
        self._sizes = [len(seen.ids) for seen in self._seen]
        *self._starts, self._end = accumulate(self._sizes, initial=0)
        self._late: list[list[int]] = [[] for _seen in self._seen]
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
        entries, rows, ids, counts = [], [], [], []
        for row, seen in enumerate(self._seen):
            for place in seen.catch_up():
                entries.append(self._entry(row, place))
                rows.append(row)
                ids.append(seen.ids[place])
                counts.append(seen.counts[place])
        if self._end > len(self._places):
            self._lay_out()
        elif entries:
            where = to_device(entries, self._device)
            places, amounts = self._entries(
                np.array(rows), np.array(ids), np.array(counts, dtype=np.float32)
            )
            self._places.index_copy_(0, where, move(places, self._device))
            self._amounts.index_copy_(1, where, move(amounts, self._device))

    def _entry(self, row: int, place: int) -> int:
        number = place - self._sizes[row]
        if number < 0:
            return self._starts[row] + place
        late = self._late[row]
        if number == len(late):
            late.append(self._end)
            self._end += 1
        return late[number]
