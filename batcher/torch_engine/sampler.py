"""From logits to tokens: every row by its own rules, all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from batcher.torch_engine.blocks import invert, maximum
from batcher.torch_engine.cutoff import cut_off
from batcher.torch_engine.draw import Draw
from batcher.torch_engine.logprobs import logprob_table, read_row
from batcher.torch_engine.penalties import penalise
from batcher.torch_engine.transfer import column, select, to_device
from headrace.core.types import TokenLogprobs

FAILED = -1
"""Stands for the id of a row whose logits are not numbers."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a row has drawn; `logprobs` where its request asked for them."""

    id: int
    logprobs: TokenLogprobs | None = None

    @property
    def is_failed(self) -> bool:
        return self.id == FAILED


def sample(logits: Tensor, draws: Sequence[Draw]) -> list[Token]:
    """The next token of each row; one that `is_failed` where a row's logits hold NaN or infinity.

    `logits` [rows, vocabulary] of any float type; they are left as they are. Penalties come first,
    then temperature, top-k, top-p and min-p, as in transformers. Temperature 0 takes the largest.
    Otherwise the id is found by inverting the cumulated distribution in vocabulary order, so that
    neither the mates of a row nor the order in which a sort leaves equal numbers has a say. The
    host waits for the device once.
    """
    ids = _next_ids(logits, draws)
    asked = [row for row, draw in enumerate(draws) if draw.rules.logprobs is not None]
    if not asked:
        return [Token(token_id) for token_id in ids.tolist()]
    counts = [draws[row].rules.logprobs or 0 for row in asked]
    table = logprob_table(select(logits, asked), select(ids, asked), max(counts))
    return _read(ids, asked, counts, table)


def _read(ids: Tensor, asked: Sequence[int], counts: Sequence[int], table: Tensor) -> list[Token]:
    """Both come to the host together; float64 holds ids exactly."""
    flat = torch.cat((ids.double(), table.flatten())).tolist()
    tokens = [Token(int(token_id)) for token_id in flat[: len(ids)]]
    width = table.shape[-1]
    for place, (row, count) in enumerate(zip(asked, counts, strict=True)):
        token_id, start = tokens[row].id, len(ids) + place * width
        if token_id != FAILED:
            logprobs = read_row(token_id, flat[start : start + width], count)
            tokens[row] = Token(token_id, logprobs)
    return tokens


def _next_ids(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """[rows] int64"""
    best, ids = maximum(logits)
    shaped = [row for row, draw in enumerate(draws) if draw.has_penalties or not draw.is_greedy]
    if shaped:
        rows = to_device(shaped, logits.device)
        scores = select(logits, shaped).to(torch.float32, copy=True)
        own_best, own_ids = _shape(scores, [draws[row] for row in shaped])
        best, ids = best.float().index_copy(0, rows, own_best), ids.index_copy(0, rows, own_ids)
    return ids.masked_fill(~best.isfinite(), FAILED)


def _shape(scores: Tensor, draws: Sequence[Draw]) -> tuple[Tensor, Tensor]:
    """The largest of the penalised scores and the id drawn from them; changes `scores`."""
    penalise(scores, draws)
    best, ids = maximum(scores)
    warm = [row for row, draw in enumerate(draws) if not draw.is_greedy]
    if warm:
        rows = to_device(warm, scores.device)
        drawn = _draw(select(scores, warm), select(best, warm), [draws[row] for row in warm])
        ids = ids.index_copy(0, rows, drawn)
    return best, ids


def _draw(scores: Tensor, best: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Ids drawn from `scores`, which become weights in place: the best of a row has weight 1."""
    temperatures = column([draw.rules.temperature for draw in draws], scores.device)
    # The largest becomes 0 first: a tiny temperature then overflows to -inf, never to NaN.
    weights = scores.sub_(best[:, None]).div_(temperatures).exp_()
    cut_off(weights, draws)
    uniforms = [draw.uniform for draw in draws]
    return invert(weights, column(uniforms, scores.device, torch.float64))
