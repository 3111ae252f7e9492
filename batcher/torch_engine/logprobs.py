"""Logprobs: how likely the model itself found an id, and which ids it found likelier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from batcher.torch_engine.blocks import largest
from headrace.core.types import TokenLogprobs


def logprob_table(logits: Tensor, ids: Tensor, count: int) -> Tensor:
    """[rows, 1 + 2 * count] float64: the logprob of `ids` [rows], the `count` best, their ids.

    The natural logarithm of the softmax of the model's own logits in float32, before penalties,
    temperature and cuts: what OpenAI and vLLM mean by it. Equals come by rising id.
    """
    logprobs = logits.log_softmax(dim=-1, dtype=torch.float32)
    own = logprobs.gather(1, ids.clamp(min=0)[:, None])
    if count == 0:
        return own.double()
    best, best_ids = largest(logprobs, min(count, logits.shape[-1]))
    return torch.cat((own.double(), best.double(), best_ids.double()), dim=-1)


def read_row(token_id: int, row: Sequence[float], count: int) -> TokenLogprobs:
    """One row of the table, with its `count` best."""
    half = (len(row) - 1) // 2
    best, best_ids = row[1 : 1 + half], row[1 + half :]
    top = zip(map(int, best_ids[:count]), best[:count], strict=True)
    return TokenLogprobs(token_id, row[0], tuple(top))
