"""From logits to tokens: every row by its own rules, all rows at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, threshold_

from batcher.torch_engine.batch import Batch
from batcher.torch_engine.blocks import invert, maximum
from batcher.torch_engine.draw import Draw
from batcher.torch_engine.logprobs import logprob_table, read_row
from headrace.core.types import TokenLogprobs

FAILED = -1
"""Stands for the id of a row whose logits are not numbers."""

_LEAST_LOG = -87.0
_LEAST_WEIGHT = 1.001 * math.exp(_LEAST_LOG)
"""Smallest weight of an id that can be drawn: smaller ones are subnormal, and 50 times as slow."""


class Token(NamedTuple):
    """What a row has drawn; `logprobs` where its request asked for them."""

    id: int
    logprobs: TokenLogprobs | None = None

    @property
    def is_failed(self) -> bool:
        return self.id == FAILED


class Sampler:
    """Keeps what it has made of the rows' rules for as long as the same rows come."""

    def __init__(self) -> None:
        self._batch: Batch | None = None

    def __call__(self, logits: Tensor, draws: Sequence[Draw]) -> list[Token]:
        """The next token of each row; one that `is_failed` where its logits hold NaN or infinity.

        `logits` [rows, vocabulary] of any float type; they are left as they are. Biases come
        first, then penalties, as in vLLM, then grammars. Temperature, top-k, top-p and min-p follow
        as in transformers. Temperature 0 takes the largest. Otherwise the id is found by inverting
        the cumulated distribution in vocabulary order, so that neither the mates of a row nor the
        order in which a sort leaves equal numbers has a say. The host waits for the device once.
        """
        if self._batch is None or self._batch.draws != draws:
            self._batch = Batch(draws, logits.shape[-1], logits.device)
        return _sample(logits, self._batch)


def _sample(logits: Tensor, batch: Batch) -> list[Token]:
    ids = _next_ids(logits, batch)
    asked = batch.asked
    if not asked:
        return [Token(token_id) for token_id in ids.tolist()]
    return _read(ids, batch, logprob_table(asked.of(logits), asked.of(ids), max(batch.counts)))


def _read(ids: Tensor, batch: Batch, table: Tensor) -> list[Token]:
    """Both come to the host together; float64 holds ids exactly."""
    flat = torch.cat((ids.double(), table.flatten())).tolist()
    tokens = [Token(int(token_id)) for token_id in flat[: len(ids)]]
    width = table.shape[-1]
    for place, (row, count) in enumerate(zip(batch.asked.rows, batch.counts, strict=True)):
        token_id, start = tokens[row].id, len(ids) + place * width
        if token_id != FAILED:
            logprobs = read_row(token_id, flat[start : start + width], count)
            tokens[row] = Token(token_id, logprobs)
    return tokens


def _next_ids(logits: Tensor, batch: Batch) -> Tensor:
    """[rows] int64"""
    shaped = batch.shaped
    if shaped.is_all:
        best, ids = _shape(logits, batch)
    else:
        best, ids = maximum(logits)
        if shaped:
            own_best, own_ids = _shape(shaped.of(logits), batch)
            best, ids = shaped.put(best.float(), own_best), shaped.put(ids, own_ids)
    return ids.masked_fill(~best.isfinite(), FAILED)


def _shape(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The largest of the changed scores of `batch.shaped` and the id drawn from them."""
    scores = logits.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    batch.biases.apply(scores)
    batch.penalties.apply(scores)
    batch.constraints.apply(scores)
    best, ids = maximum(scores)
    warm = batch.warm
    if warm:
        ids = warm.put(ids, _draw(warm.of(scores), warm.of(best), batch))
    return best, ids


def _draw(scores: Tensor, best: Tensor, batch: Batch) -> Tensor:
    """Ids drawn from `scores`, which become weights in place: the best of a row has weight 1."""
    # The largest becomes 0 first: a tiny temperature then overflows to -inf, never to NaN.
    logs = scores.sub_(best[:, None]).div_(batch.temperatures)
    weights = threshold_(logs.clamp_(min=_LEAST_LOG).exp_(), _LEAST_WEIGHT, 0)
    batch.cuts.apply(weights)
    return invert(weights, batch.uniforms())
