"""Conversations of words: each turn is sent with the answers so far, after a think time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace.loadtest.calibration import Calibration
from headrace.loadtest.prompts import Prompt, Prompts, Turn, WordLength, WordPrompts


@dataclass(frozen=True)
class Turns:
    """Conversations of `turns` turns; a caller thinks for `think_s` before each but the first."""

    turns: int = 4
    think_s: float = 1.0

    has_own_sizes = False

    async def prompts(self, calibration: Calibration, seed: int) -> Prompts:
        return TurnPrompts(self, await calibration.words(), seed)

    def __str__(self) -> str:
        return f"turns:turns={self.turns},think_s={self.think_s:g}"


class TurnPrompts:
    """Each turn adds the `prompt_tokens` of the load, unlike all before."""

    def __init__(self, dataset: Turns, length: WordLength, seed: int) -> None:
        self._dataset, self._length = dataset, length
        self._words = WordPrompts(length, seed)

    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        words = self._length.words(prompt_tokens)
        later = [
            Turn(self._words.text(words), max_tokens) for _turn in range(self._dataset.turns - 1)
        ]
        first = self._words.next(prompt_tokens, max_tokens)
        return replace(first, later=later, think_s=self._dataset.think_s)

    @property
    def notes(self) -> Sequence[str]:
        return self._words.notes
