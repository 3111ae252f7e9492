"""Two models' next-token probabilities on one text, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ROWS_AT_ONCE = 64
"""Bounds the memory: a row of a large vocabulary takes a megabyte."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`kl` in nats a token; `top1` the share of places with the same most likely token."""

    kl: float
    top1: float
    perplexity_ratio: float


def log_softmax(logits: Floats) -> Floats:
    """[places, vocabulary] along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    logprobs: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return logprobs


def compare(reference: Floats, logits: Floats, following: Sequence[int]) -> Comparison:
    """`reference` are logprobs and `logits` another model's, both [places, vocabulary].

    `following` are the tokens that stand behind the places, as far as they are known. Raises
    `ValueError` where the shapes differ; logits that are not finite give a KL of infinity.
    """
    if reference.shape != logits.shape:
        raise ValueError(f"logits of shape {logits.shape}, the reference has {reference.shape}")
    if not np.isfinite(logits).all():
        return Comparison(np.inf, 0.0, np.inf)
    kl, same, loss, places = 0.0, 0, 0.0, len(reference)
    for start in range(0, places, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        theirs, ours = reference[rows].astype(np.float64), log_softmax(logits[rows])
        kl += float((np.exp(theirs) * (theirs - ours)).sum())
        same += int((theirs.argmax(-1) == ours.argmax(-1)).sum())
        come = list(following[rows])
        each = np.arange(len(come))
        loss += float((theirs[each, come] - ours[each, come]).sum())
    return Comparison(
        kl=max(0.0, kl / places),
        top1=same / places,
        perplexity_ratio=float(np.exp(loss / max(1, len(following)))),
    )
