"""From logits to token ids: every row by its own rules, all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headrace.core.types import Sampling

FAILED = -1
"""Stands for the id of a row whose logits are not numbers."""

_MASK_64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Draw:
    """How one token is drawn; `uniform` in [0, 1) is its one random number."""

    temperature: float
    top_k: int
    top_p: float
    uniform: float

    @classmethod
    def of(cls, sampling: Sampling, place: int) -> Draw:
        """The draw of the output token at `place`."""
        number = uniform(sampling.seed, place)
        return cls(sampling.temperature, sampling.top_k, sampling.top_p, number)


def uniform(seed: int, place: int) -> float:
    """A number in [0, 1) that depends on its arguments only (splitmix64, 52 bits)."""
    return (_mix(_mix(seed & _MASK_64) ^ place) >> 12) * 2.0**-52


def sample(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """The next id of each row, [rows] int64; `FAILED` where a row's logits hold NaN or infinity.

    `logits` [rows, vocabulary] of any float type. Temperature 0 takes the largest. Otherwise
    temperature, top-k and top-p narrow the distribution in this order and the id is found by
    inverting its cumulative sum in vocabulary order, so that neither the mates of a row nor the
    order in which a sort leaves equal numbers has a say.
    """
    largest, ids = logits.max(dim=-1)
    drawn = [row for row, draw in enumerate(draws) if draw.temperature > 0]
    if drawn:
        rows = torch.tensor(drawn, device=logits.device)
        ids[rows] = _draw(logits[rows], largest[rows], [draws[row] for row in drawn])
    return ids.masked_fill(~largest.isfinite(), FAILED)


def _draw(logits: Tensor, largest: Tensor, draws: Sequence[Draw]) -> Tensor:
    temperature = _column([draw.temperature for draw in draws], logits)
    # The largest becomes 0 first: a tiny temperature then overflows to -inf, never to NaN.
    scores = (logits.float() - largest.float()[:, None]) / temperature
    _keep_top_k(scores, draws)
    probabilities = scores.softmax(dim=-1)
    _keep_top_p(probabilities, draws)
    cumulated = probabilities.cumsum(dim=-1, dtype=torch.float64)
    uniforms = _column([draw.uniform for draw in draws], cumulated)
    ids = torch.searchsorted(cumulated, uniforms * cumulated[:, -1:], right=True)
    return ids[:, 0].clamp(max=logits.shape[-1] - 1)


def _keep_top_k(scores: Tensor, draws: Sequence[Draw]) -> None:
    """Lowers all below the k-th largest of a row to -inf; equals of the k-th stay."""
    vocabulary = scores.shape[-1]
    limited = [row for row, draw in enumerate(draws) if 0 < draw.top_k < vocabulary]
    if not limited:
        return
    rows = torch.tensor(limited, device=scores.device)
    ks = [draws[row].top_k for row in limited]
    largest = scores[rows].topk(max(ks), dim=-1).values
    smallest_kept = largest.gather(1, torch.tensor(ks, device=scores.device)[:, None] - 1)
    kept = scores[rows]
    scores[rows] = kept.masked_fill(kept < smallest_kept, -torch.inf)


def _keep_top_p(probabilities: Tensor, draws: Sequence[Draw]) -> None:
    """Zeroes all but the fewest largest of a row that reach its `top_p`; equals stay."""
    limited = [row for row, draw in enumerate(draws) if draw.top_p < 1]
    if not limited:
        return
    rows = torch.tensor(limited, device=probabilities.device)
    wanted = _column([draws[row].top_p for row in limited], probabilities)
    kept = probabilities[rows]
    ordered = _ordered_head(kept, wanted)
    before = ordered.cumsum(dim=-1) - ordered
    last = (before < wanted).sum(dim=-1, keepdim=True).clamp(min=1) - 1
    probabilities[rows] = kept.masked_fill(kept < ordered.gather(1, last), 0)


def _ordered_head(probabilities: Tensor, wanted: Tensor, head: int = 512) -> Tensor:
    """The largest probabilities in falling order, at least as many as reach `wanted`.

    Sorting a whole vocabulary costs more than a small model's forward, and a few hundred tokens
    nearly always hold the mass that is asked for. A GPU sorts it all rather than ask the host.
    """
    if probabilities.device.type == "cpu" and head < probabilities.shape[-1]:
        ordered = probabilities.topk(head, dim=-1).values
        if (ordered.sum(dim=-1, keepdim=True) > wanted + 1e-4).all():
            return ordered
    return probabilities.sort(dim=-1, descending=True).values


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    """[rows, 1]; float32 beside float32 and 16-bit logits, float64 beside float64."""
    dtype = like.dtype if like.dtype == torch.float64 else torch.float32
    return torch.tensor(values, dtype=dtype, device=like.device)[:, None]


def _mix(number: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit stirs every other."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK_64
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return number ^ (number >> 31)
