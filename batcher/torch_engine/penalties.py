"""Penalties: ids that a row has had already become less likely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import to_device


def penalise(scores: Tensor, draws: Sequence[Draw]) -> None:
    """Changes `scores` [rows, vocabulary] in place, only where a row has had an id.

    The repetition penalty divides what is positive and multiplies the rest, for every id of prompt
    and output (Keskar et al. 2019). Then OpenAI's: an id's score falls by `presence_penalty` if it
    is in the output, and by `frequency_penalty` for each time.
    """
    tables = [_count(draw) if draw.has_penalties else {} for draw in draws]
    owners = [row for row, table in enumerate(tables) for _ in table]
    if not owners:
        return
    counts = [count for table in tables for count in table.values()]
    ids = [token_id for table in tables for token_id in table]
    seen = to_device([owners, ids, counts], scores.device)
    rules = [[draw.rules.repetition_penalty for draw in draws]]
    rules += [[draw.rules.presence_penalty for draw in draws]]
    rules += [[draw.rules.frequency_penalty for draw in draws]]
    _lower(scores, seen, to_device(rules, scores.device, scores.dtype))


def _count(draw: Draw) -> Mapping[int, int]:
    """How often the output has each id that matters; 0 for those of the prompt alone."""
    output = Counter(draw.ids[draw.prompt_tokens :])
    if draw.rules.repetition_penalty == 1:
        return output
    return {**dict.fromkeys(draw.ids[: draw.prompt_tokens], 0), **output}


def _lower(scores: Tensor, seen: Tensor, rules: Tensor) -> None:
    """`seen` [3, ids]: row, id and count of each; `rules` [3, rows]."""
    rows, ids, counts = seen
    repetition, presence, frequency = rules[:, rows]
    values = scores[rows, ids]
    values = torch.where(values < 0, values * repetition, values / repetition)
    scores[rows, ids] = values - presence * (counts > 0) - frequency * counts
