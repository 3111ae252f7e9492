"""Conversations that people once had: questions from a file, answers as long as they were."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.core.errors import Unavailable
from headrace.loadtest.calibration import Calibration
from headrace.loadtest.datasets.conversations import (
    Conversation,
    Conversations,
    Exchange,
    read_conversations,
)
from headrace.loadtest.prompts import Message, Prompt, Prompts, Turn

LEAST_TOKENS, MOST_PROMPT_TOKENS, MOST_TOKENS = 4, 1024, 2048
"""Of a prompt or an answer, of a first prompt, and of a conversation: as in vLLM's benchmark."""


@dataclass(frozen=True)
class ShareGpt:
    """The first `turns` exchanges of each conversation of a file."""

    path: Path
    turns: int = 1
    think_s: float = 0.0
    found: Conversations = field(repr=False, compare=False, kw_only=True)

    has_own_sizes = True

    @classmethod
    def read(cls, path: Path, turns: int = 1, think_s: float = 0.0) -> ShareGpt:
        """Raises `InvalidRequest`, naming file, line and field."""
        return cls(path, turns, think_s, found=read_conversations(path, turns))

    async def prompts(self, calibration: Calibration, seed: int) -> Prompts:
        return ShareGptPrompts(self, await calibration.characters_a_token(self.found.sample), seed)

    def __str__(self) -> str:
        return f"sharegpt:{self.path},turns={self.turns},think_s={self.think_s:g}"


class ShareGptPrompts:
    """Conversations in random order, from the first again after the last.

    Raises `Unavailable` where none has lengths that can be sent.
    """

    def __init__(self, dataset: ShareGpt, characters_a_token: float, seed: int) -> None:
        self._dataset, self._characters = dataset, characters_a_token
        fitting = [self._cut(each) for each in dataset.found.kept]
        self._all = [each for each in fitting if each.exchanges]
        if not self._all:
            raise Unavailable(f"{dataset.path} has no conversation of {self._limits}")
        random.Random(f"conversations {seed}").shuffle(self._all)
        self._turn = itertools.cycle(self._all)
        self._taken = 0

    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        """Answers of `max_tokens`, where that is not 0; else as long as they were."""
        self._taken += 1
        conversation = next(self._turn)
        first, *later = [
            Turn(each.question, max_tokens or self._tokens(each.answer_length))
            for each in conversation.exchanges
        ]
        messages: list[Message] = [{"role": "user", "content": first.text}]
        if conversation.system:
            messages.insert(0, {"role": "system", "content": conversation.system})
        return Prompt(messages, first.max_tokens, later, self._dataset.think_s)

    @property
    def notes(self) -> Sequence[str]:
        return list(self._notes())

    def _notes(self) -> Iterator[str]:
        found = self._dataset.found
        if not found.is_whole:
            yield f"the first {found.read:,} conversations of the file alone"
        if found.left_out:
            of = f"{found.left_out} of {found.read:,} conversations"
            yield f"{of} are left out: no question and answer at their begin"
        if more := len(found.kept) - len(self._all):
            yield f"{more} of {found.read:,} conversations are left out: not of {self._limits}"
        yield f"lengths are reckoned at {self._characters:.2f} characters a token"
        if self._taken > len(self._all):
            yield f"conversations are repeated: {len(self._all):,} can be sent"

    @property
    def _limits(self) -> str:
        return (
            f"{LEAST_TOKENS} to {MOST_PROMPT_TOKENS:,} prompt tokens, {LEAST_TOKENS} or more of an"
            f" answer, at most {MOST_TOKENS:,} in all"
        )

    def _cut(self, conversation: Conversation) -> Conversation:
        """The exchanges up to the first that is too short or does not fit any more."""
        kept: list[Exchange] = []
        total = self._tokens(len(conversation.system))
        for exchange in conversation.exchanges:
            prompt, answer = map(self._tokens, (len(exchange.question), exchange.answer_length))
            is_too_long = total + prompt + answer > MOST_TOKENS
            is_too_long |= not kept and total + prompt > MOST_PROMPT_TOKENS
            if is_too_long or min(prompt, answer) < LEAST_TOKENS:
                break
            kept.append(exchange)
            total += prompt + answer
        return Conversation(conversation.system, kept)

    def _tokens(self, characters: int) -> int:
        return round(characters / self._characters)
