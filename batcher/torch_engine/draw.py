"""Draw: all that decides about a row's next token, but for its logits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from batcher.torch_engine.grammar import Grammar
from batcher.torch_engine.seen import Seen
from headrace.core.types import Sampling

_MASK_64 = (1 << 64) - 1

Words = NDArray[np.uint64]


@dataclass(eq=False)
class Draw:
    """How the tokens of one row are drawn: the request's rules, and the row's `ids` so far.

    `ids` are prompt and output, and grow with the row, which keeps its draw to its end. `ends` are
    ids that may not be among its first `min_tokens`. `grammar` is what the output is held to; it
    is there before the row is drawn first.
    """

    rules: Sampling
    ids: Sequence[int]
    prompt_tokens: int
    ends: Collection[int] = ()
    grammar: Grammar | None = None

    @cached_property
    def is_greedy(self) -> bool:
        return self.rules.temperature <= 0

    @cached_property
    def has_penalties(self) -> bool:
        rules = self.rules
        penalties = (rules.repetition_penalty - 1, rules.presence_penalty, rules.frequency_penalty)
        return penalties != (0, 0, 0)

    @cached_property
    def has_biases(self) -> bool:
        return bool(self.rules.logit_bias or self.holds_back_ends)

    @cached_property
    def holds_back_ends(self) -> bool:
        """Whether its ends are biased: a grammar may allow nothing else, and knows itself."""
        return bool(self.ends and self.rules.min_tokens) and self.grammar is None

    @cached_property
    def is_shaped(self) -> bool:
        """Whether its scores are not simply the logits, of which the largest wins."""
        is_held = self.grammar is not None
        return is_held or self.has_biases or self.has_penalties or not self.is_greedy

    @property
    def may_end(self) -> bool:
        """Whether its next id may be one of `ends`."""
        return len(self.ids) - self.prompt_tokens >= self.rules.min_tokens

    @cached_property
    def seen(self) -> Seen:
        """The ids that the penalties heed."""
        return Seen(self.ids, self.prompt_tokens, self.rules.repetition_penalty != 1)


def keys_of(seeds: Sequence[int]) -> Words:
    """Keys that `uniforms` needs, one for each seed; computed once."""
    return _mix(np.array([seed & _MASK_64 for seed in seeds], dtype=np.uint64))


def uniforms(keys: Words, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) of each row's key and place, and of nothing else (splitmix64, 52 bits)."""
    words = _mix(keys ^ places.astype(np.uint64)) >> np.uint64(12)
    return words.astype(np.float64) * 2.0**-52


def _mix(words: Words) -> Words:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit stirs every other."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
