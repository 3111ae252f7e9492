"""The load that a service and a bare engine are both put under: users who wait for their answers.

Each user sends its next prompt once the last one is answered. Prompts are words that were never
sent before; outputs are half to one and a half as long as asked for, so that they do not end
together. Times are those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from headrace.loadtest.prompts import Prompt, WordLength, WordPrompts


@dataclass(frozen=True)
class Course:
    """One run: its users begin at `begins_at`, and `warm_up_s` later its window of `seconds` opens.

    `output_tokens` are those of an answer in the mean.
    """

    users: int
    seed: int
    begins_at: float
    warm_up_s: float
    seconds: float
    prompt_tokens: int
    output_tokens: int

    @property
    def opens_at(self) -> float:
        return self.begins_at + self.warm_up_s

    @property
    def closes_at(self) -> float:
        return self.opens_at + self.seconds

    def encode(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """When it was asked for, when its first and its last token so far came, and how many came."""

    asked: float
    first: float
    last: float
    tokens: int

    def encode(self) -> list[float]:
        return [self.asked, self.first, self.last, self.tokens]

    @staticmethod
    def decode(fields: Sequence[float]) -> Answer:
        asked, first, last, tokens = fields
        return Answer(asked, first, last, int(tokens))

    def tokens_within(self, start: float, end: float) -> float:
        """Tokens that came in this time; those behind the first are taken to come evenly."""
        found = float(start < self.first <= end)
        if self.last > self.first:
            overlap = min(self.last, end) - max(self.first, start)
            found += (self.tokens - 1) * max(0.0, overlap) / (self.last - self.first)
        return found


class DrawnPrompts:
    """Prompts of a load test, each of which draws how long its answer is."""

    def __init__(self, length: WordLength, seed: int) -> None:
        self._words = WordPrompts(length, seed)
        self._draw = random.Random(f"lengths {seed}")

    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        spread = max_tokens // 2
        drawn = self._draw.randint(max_tokens - spread, max_tokens + spread)
        return replace(self._words.next(prompt_tokens, max_tokens), max_tokens=drawn)

    @property
    def notes(self) -> Sequence[str]:
        return self._words.notes


def tokens_within(answers: Sequence[Answer], course: Course) -> float:
    """Tokens that came while the window was open, of whichever answer."""
    window = course.opens_at, course.closes_at
    return sum(answer.tokens_within(*window) for answer in answers)


def first_token_s(answers: Sequence[Answer], course: Course) -> list[float]:
    """How long each answer took to begin that was asked for while the window was open."""
    window = course.opens_at, course.closes_at
    return [each.first - each.asked for each in answers if window[0] <= each.asked < window[1]]
