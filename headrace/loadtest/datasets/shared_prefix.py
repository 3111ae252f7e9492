"""Prompts that begin with one of a few prefixes: what a prefix cache is worth."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headrace.loadtest.calibration import Calibration
from headrace.loadtest.prompts import Prompt, Prompts, WordLength, WordPrompts


@dataclass(frozen=True)
class SharedPrefix:
    """Each prompt is one of `prefixes` texts of `prefix_tokens`, and a suffix of its own."""

    prefixes: int = 10
    prefix_tokens: int = 256

    has_own_sizes = False

    async def prompts(self, calibration: Calibration, seed: int) -> Prompts:
        return PrefixPrompts(self, await calibration.words(), seed)

    def __str__(self) -> str:
        return f"prefix:prefixes={self.prefixes},prefix_tokens={self.prefix_tokens}"


class PrefixPrompts:
    """Every prefix comes as often as every other, in random order.

    A prefix is the first block of its prompts; the suffix has the `prompt_tokens` of the load.
    """

    def __init__(self, dataset: SharedPrefix, length: WordLength, seed: int) -> None:
        self._words = WordPrompts(length, seed, block_tokens=dataset.prefix_tokens)
        self._prefix_tokens = dataset.prefix_tokens
        self._order = _shuffled(dataset.prefixes, seed)

    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        whole = self._prefix_tokens + prompt_tokens
        return self._words.next(whole, max_tokens, (next(self._order),))

    @property
    def notes(self) -> Sequence[str]:
        return self._words.notes


def _shuffled(count: int, seed: int) -> Iterator[int]:
    draw = random.Random(f"prefixes {seed}")
    while True:
        yield from draw.sample(range(count), count)
