"""What is asked: made of common words, or read from a file."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from headrace.core.errors import InvalidRequest
from headrace.loadtest.words import WORDS

Message = dict[str, Any]
MOST_TRIES = 100


@dataclass(frozen=True)
class Prompt:
    messages: Sequence[Message]
    max_tokens: int


class Prompts(Protocol):
    def next(self, prompt_tokens: int, max_tokens: int) -> Prompt:
        """The next prompt; a source with texts of its own need not keep to `prompt_tokens`."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the figures must know about the prompts."""


@dataclass(frozen=True)
class WordLength:
    """How words become tokens on one server: `overhead` is what its chat template adds."""

    overhead: float = 0.0
    tokens_a_word: float = 1.0

    def words(self, prompt_tokens: int) -> int:
        return max(1, round((prompt_tokens - self.overhead) / self.tokens_a_word))

    @classmethod
    def measured(cls, few: tuple[int, int], many: tuple[int, int]) -> WordLength:
        """From two prompts' (words, tokens)."""
        tokens_a_word = max((many[1] - few[1]) / (many[0] - few[0]), 0.1)
        return cls(few[1] - few[0] * tokens_a_word, tokens_a_word)


class WordPrompts:
    """Words in random order, each prompt unlike all before: no cache of prefixes can help.

    With `repeat` every prompt of one length is the same.
    """

    def __init__(self, length: WordLength, seed: int, repeat: bool = False) -> None:
        self._length = length
        self._seed = seed
        self._draw = self._fresh_draw()
        self._repeat = repeat
        self._seen: set[int] = set()
        self._repeated = 0

    def next(self, prompt_tokens: int, max_tokens: int) -> Prompt:
        words = self._length.words(prompt_tokens)
        text = self._same(words) if self._repeat else self._unseen(words)
        return Prompt([{"role": "user", "content": text}], max_tokens)

    @property
    def notes(self) -> Sequence[str]:
        if not self._repeated:
            return ()
        return (f"{self._repeated} prompts are repetitions: too few words to be all different",)

    def _unseen(self, words: int) -> str:
        for _try in range(MOST_TRIES):
            text = _text(words, self._draw)
            if hash(text) not in self._seen:
                self._seen.add(hash(text))
                return text
        self._repeated += 1
        return text

    def _same(self, words: int) -> str:
        return _text(words, self._fresh_draw())

    def _fresh_draw(self) -> random.Random:
        return random.Random(f"prompts {self._seed}")


class FilePrompts:
    """The prompts of a file in turn, from the first again after the last."""

    def __init__(self, path: Path) -> None:
        self._all = _read(path)
        self._turn = itertools.cycle(self._all)
        self._taken = 0

    def next(self, prompt_tokens: int, max_tokens: int) -> Prompt:
        self._taken += 1
        return Prompt(next(self._turn), max_tokens)

    @property
    def notes(self) -> Sequence[str]:
        if self._taken <= len(self._all):
            return ()
        return (f"prompts are repeated: the file has {len(self._all)}",)


def _text(words: int, draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def _read(path: Path) -> list[Sequence[Message]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--prompts: {path}: {error}") from error
    prompts = list(_conversations(path, lines))
    if not prompts:
        raise InvalidRequest(f"--prompts: {path} has no prompts")
    return prompts


def _conversations(path: Path, lines: Sequence[str]) -> Iterator[Sequence[Message]]:
    for number, line in enumerate(lines, start=1):
        if line.startswith("{"):
            yield _conversation(f"--prompts: {path}: line {number}", line)
        elif line.strip():
            yield [{"role": "user", "content": line}]


def _conversation(place: str, line: str) -> Sequence[Message]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidRequest(f"{place}: {error}") from error
    if isinstance(prompt := row.get("prompt"), str):
        return [{"role": "user", "content": prompt}]
    if isinstance(messages := row.get("messages"), list) and messages:
        return messages
    raise InvalidRequest(f'{place}: neither "prompt" nor "messages"')
