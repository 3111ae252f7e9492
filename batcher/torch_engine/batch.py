"""Batch: the rows of a step by what they ask of the sampler, and their rules as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from batcher.torch_engine.biases import Biases
from batcher.torch_engine.constraints import Constraints
from batcher.torch_engine.cutoff import Cuts
from batcher.torch_engine.draw import Draw, keys_of, uniforms
from batcher.torch_engine.penalties import Penalties
from batcher.torch_engine.subset import Subset
from batcher.torch_engine.transfer import column


class Batch:
    """Good for as many steps as the same rows go on.

    `shaped` are the rows whose scores are changed, and `warm` those of them that draw by chance;
    `asked` want logprobs, and as many alternatives as `counts` says. `temperatures` [warm, 1].
    """

    def __init__(self, draws: Sequence[Draw], vocabulary: int, device: torch.device) -> None:
        self.draws = draws
        self.asked = Subset(draws, lambda draw: draw.rules.logprobs is not None, device)
        self.counts = [draw.rules.logprobs or 0 for draw in self.asked.draws]
        self.shaped = Subset(draws, lambda draw: draw.is_shaped, device)
        self.biases = Biases(self.shaped.draws, vocabulary, device)
        self.penalties = Penalties(self.shaped.draws, vocabulary, device)
        self.constraints = Constraints(self.shaped.draws, device)
        self.warm = Subset(self.shaped.draws, lambda draw: not draw.is_greedy, device)
        rules = [draw.rules for draw in self.warm.draws]
        self.temperatures = column([each.temperature for each in rules], device)
        self.cuts = Cuts(self.warm.draws, vocabulary, device)
        self._prompt_tokens = np.array([draw.prompt_tokens for draw in self.warm.draws])
        self._keys = keys_of([each.seed for each in rules])

    def uniforms(self) -> Tensor:
        """The random number [warm, 1] of each warm row's next token, in [0, 1)."""
        places = np.array([len(draw.ids) for draw in self.warm.draws]) - self._prompt_tokens
        device = self.temperatures.device
        return column(uniforms(self._keys, places), device, torch.float64)
