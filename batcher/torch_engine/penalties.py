"""Penalties: ids that a row has had already become less likely."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.transfer import join, repeat


def penalise(scores: Tensor, draws: Sequence[Draw]) -> None:
    """Changes `scores` [rows, vocabulary] in place, only where a row has had an id.

    The repetition penalty divides what is positive and multiplies the rest, for every id of prompt
    and output (Keskar et al. 2019). Then OpenAI's: an id's score falls by `presence_penalty` if it
    is in the output, and by `frequency_penalty` for each time. `scores` are float32 without gaps.
    """
    rows = [row for row, draw in enumerate(draws) if draw.has_penalties]
    seen = [draws[row].seen for row in rows]
    for each in seen:
        each.catch_up()
    sizes = [len(each.ids) for each in seen]
    if not any(sizes):
        return
    device = scores.device
    places = join([each.ids for each in seen], device, torch.int64)
    places += repeat([row * scores.shape[-1] for row in rows], sizes, device, torch.int64)
    values = scores.view(-1).index_select(0, places)
    penalties = [draws[row].rules.repetition_penalty for row in rows]
    if any(penalty != 1 for penalty in penalties):
        factors = repeat(penalties, sizes, device)
        # One of both is 0. A choice by a mask of bools takes five times as long.
        values = values.clamp(max=0) * factors + values.clamp(min=0) / factors
    values -= join([each.presence for each in seen], device, torch.float32)
    values -= join([each.frequency for each in seen], device, torch.float32)
    scores.view(-1).scatter_(0, places, values)
