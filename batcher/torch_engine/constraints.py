"""Constraints: rows that hold their output to a grammar draw only what it allows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from llguidance import LLExecutor
from numpy.typing import NDArray
from torch import Tensor

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.subset import Subset
from batcher.torch_engine.transfer import move

Bits = NDArray[np.uint8]


class Constraints:
    """The grammars of rows, good for as long as the same rows go on."""

    def __init__(self, draws: Sequence[Draw], device: torch.device) -> None:
        self._rows = Subset(draws, lambda draw: draw.grammar is not None, device)
        self._grammars = [draw.grammar for draw in self._rows.draws if draw.grammar is not None]
        width = self._grammars[0].mask_bytes if self._grammars else 0
        self._masks = np.zeros((len(self._grammars), width), dtype=np.uint8)

    def apply(self, scores: Tensor) -> None:
        """Puts what may not come next to minus infinity in `scores` [rows, vocabulary]."""
        if not self._grammars:
            return
        self._fill()
        bits = np.unpackbits(self._masks, axis=1, count=scores.shape[-1], bitorder="little")
        forbidden = move(torch.from_numpy(bits == 0), scores.device)
        if self._rows.is_all:
            scores.masked_fill_(forbidden, -torch.inf)
        else:
            for place, row in enumerate(self._rows.rows):
                scores[row].masked_fill_(forbidden[place], -torch.inf)

    def _fill(self) -> None:
        """Asks the grammars for their masks, a bit an id."""
        count, width = self._masks.shape
        asked = [(grammar.matcher, place) for place, grammar in enumerate(self._grammars)]
        _executor().unsafe_compute_mask_ptr(asked, self._masks.ctypes.data, width, count)
        for mask, draw in zip(self._masks, self._rows.draws, strict=True):
            if not draw.may_end:
                _go_on(mask, draw)


def _go_on(mask: Bits, draw: Draw) -> None:
    """Takes the ends out of a mask, unless the grammar allows nothing else."""
    kept = mask.copy()
    for end in draw.ends:
        if end < 8 * len(mask):
            mask[end // 8] &= ~np.uint8(1 << end % 8)
    if not mask.any():
        mask[:] = kept


@cache
def _executor() -> LLExecutor:
    """Threads that take the masks of several rows at once."""
    return LLExecutor(torch.get_num_threads())
