"""Requests to come: when, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trace:
    """Arrivals in seconds from 0 to `seconds`, in order, each with its tokens."""

    arrivals: Sequence[float]
    prompts: Sequence[float]
    outputs: Sequence[float]
    seconds: float

    def __len__(self) -> int:
        return len(self.arrivals)
