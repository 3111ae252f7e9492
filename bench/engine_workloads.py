"""What the engines are given: prompts of fresh random ids, in three shapes.

equal         as many as run at once, all of one length
mixed         twice as many as run at once, of many lengths, the same lengths every time
interruption  rows that decode, and one long prompt that comes between

Contenders run this module in environments of their own: it needs nothing but Python.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MIXED_A_SLOT = 2


@dataclass(frozen=True)
class Prompt:
    """One request: its ids, and how many tokens follow whatever they are."""

    ids: tuple[int, ...]
    output_tokens: int

    def encode(self) -> list[Any]:
        return [self.ids, self.output_tokens]

    @staticmethod
    def decode(fields: Sequence[Any]) -> Prompt:
        ids, output_tokens = fields
        return Prompt(tuple(ids), output_tokens)


@dataclass(frozen=True)
class Shape:
    """Lengths in tokens; pairs are the least and the most of a uniform draw."""

    prompt: int = 39
    output: int = 64
    mixed_prompts: tuple[int, int] = (20, 400)
    mixed_outputs: tuple[int, int] = (8, 128)
    rows: int = 16
    row_output: int = 128
    long_prompt: int = 2000
    decode_output: int = 48


FULL = Shape()
QUICK = Shape(
    output=6, mixed_prompts=(10, 30), mixed_outputs=(2, 6), rows=4, row_output=64, long_prompt=90
)


class Workloads:
    """No two prompts are alike, so that no prefix cache knows one."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        self._shape = shape
        self._vocabulary = vocabulary
        self._ids = random.Random(0)

    def equal(self, concurrency: int) -> list[Prompt]:
        shape = self._shape
        return [self._prompt(shape.prompt, shape.output) for _request in range(concurrency)]

    def mixed(self, concurrency: int) -> list[Prompt]:
        lengths = random.Random(0)
        return [
            self._prompt(
                lengths.randint(*self._shape.mixed_prompts),
                lengths.randint(*self._shape.mixed_outputs),
            )
            for _request in range(MIXED_A_SLOT * concurrency)
        ]

    def interruption(self) -> tuple[list[Prompt], Prompt]:
        """The rows that decode, and the long prompt."""
        shape = self._shape
        rows = [self._prompt(shape.prompt, shape.row_output) for _row in range(shape.rows)]
        return rows, self._prompt(shape.long_prompt, 1)

    def decoding(self, rows: int) -> list[Prompt]:
        """Rows that decode for a while, at about 70 tokens of context."""
        shape = self._shape
        return [self._prompt(shape.prompt, shape.decode_output) for _row in range(rows)]

    def _prompt(self, length: int, output_tokens: int) -> Prompt:
        ids = tuple(self._ids.randrange(self._vocabulary) for _place in range(length))
        return Prompt(ids, output_tokens)
