"""Draw: all that decides about one row's next token, but for its logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.core.types import Sampling

_MASK_64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Draw:
    """How one token is drawn: the request's rules, and its `ids` so far, prompt and output."""

    rules: Sampling
    ids: Sequence[int]
    prompt_tokens: int

    @property
    def is_greedy(self) -> bool:
        return self.rules.temperature <= 0

    @property
    def has_penalties(self) -> bool:
        rules = self.rules
        penalties = (rules.repetition_penalty - 1, rules.presence_penalty, rules.frequency_penalty)
        return penalties != (0, 0, 0)

    @property
    def uniform(self) -> float:
        """The draw's one random number, in [0, 1)."""
        return uniform(self.rules.seed, len(self.ids) - self.prompt_tokens)


def uniform(seed: int, place: int) -> float:
    """A number in [0, 1) that depends on its arguments only (splitmix64, 52 bits)."""
    return (_mix(_mix(seed & _MASK_64) ^ place) >> 12) * 2.0**-52


def _mix(number: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit stirs every other."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK_64
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return number ^ (number >> 31)
