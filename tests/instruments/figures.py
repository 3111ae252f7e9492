"""What a tool measured of one load, in the words of `headrace loadtest`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from statistics import median
from typing import Self


@dataclass(frozen=True)
class Load:
    """A closed loop: each of `users` sends its next request when its last one is answered.

    `prompt_tokens` do not count what the chat template adds.
    """

    users: int
    requests: int
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Figures:
    """Requests/s of the whole run, and medians over its requests in s."""

    throughput_per_s: float
    ttft_s: float
    tpot_s: float
    e2e_s: float

    @classmethod
    def medians(cls, runs: Sequence[Self]) -> Self:
        """Of each figure by itself."""
        return cls(*(median(values) for values in zip(*map(astuple, runs), strict=True)))

    def off(self, expected: Self) -> dict[str, float]:
        """How far each figure is from the expected one, as a share of it."""
        pairs = zip(astuple(self), astuple(expected), strict=True)
        return {
            field.name: value / own - 1
            for field, (value, own) in zip(fields(self), pairs, strict=True)
        }
