"""How truly an engine answers as its model would: measured once, where the model is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MOST_KL = 0.01
"""Nats a token: an engine further from its model is refused."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """An engine's next-token probabilities on a fixed text beside its model's own, in float32.

    `kl` is the mean Kullback-Leibler divergence in nats a token, `top1` the share of places with
    the same most likely token, `perplexity_ratio` the engine's perplexity as a multiple of the
    model's. All are None where nothing could be compared; `note` then says why.
    """

    dtype: str
    kl: float | None = None
    top1: float | None = None
    perplexity_ratio: float | None = None
    tokens: int = 0
    note: str = ""

    def encode(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def decode(fields: Mapping[str, Any] | None) -> Fidelity | None:
        """None for a worker that reports none; fields of later versions are passed over."""
        if fields is None:
            return None
        return Fidelity(**{name: fields[name] for name in Fidelity.__slots__ if name in fields})
