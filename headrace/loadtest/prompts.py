"""What is asked: made of common words, or read from a file."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from headrace.core.errors import InvalidRequest
from headrace.loadtest.traces.arrival import BLOCK_TOKENS
from headrace.loadtest.words import WORDS

Message = dict[str, Any]
MOST_TRIES = 100
MOST_BLOCKS = 512
"""Texts of shared blocks that are kept; others are made anew."""


@dataclass(frozen=True)
class Turn:
    """What a caller says after an answer, and the most tokens of the next one."""

    text: str
    max_tokens: int


@dataclass(frozen=True)
class Prompt:
    """One request; `later` turns of its conversation follow, each after `think_s`."""

    messages: Sequence[Message]
    max_tokens: int
    later: Sequence[Turn] = ()
    think_s: float = 0.0
    turn: int = 1

    def then(self, answer: str) -> Prompt | None:
        """The next turn, with all that was said before; None at the end of the conversation."""
        if not self.later:
            return None
        following, *later = self.later
        said = [*self.messages, {"role": "assistant", "content": answer}]
        return replace(
            self,
            messages=[*said, {"role": "user", "content": following.text}],
            max_tokens=following.max_tokens,
            later=later,
            turn=self.turn + 1,
        )


class Prompts(Protocol):
    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        """The next prompt; one with the id of a block begins as all others with that id do.

        A source with texts of its own need not keep to `prompt_tokens`.
        """

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

    With `repeat` every prompt of one length is the same. Blocks have `block_tokens` each, the last
    one as many as the prompt has left; what is beyond them is unlike all before.
    """

    def __init__(
        self,
        length: WordLength,
        seed: int,
        repeat: bool = False,
        block_tokens: int = BLOCK_TOKENS,
    ) -> None:
        self._length = length
        self._seed = seed
        self._draw = self._fresh_draw()
        self._repeat = repeat
        self._block_tokens = block_tokens
        self._seen: set[int] = set()
        self._repeated = 0

    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        words = self._length.words(prompt_tokens)
        text = self._shared(words, blocks) if blocks else self.text(words)
        return Prompt([{"role": "user", "content": text}], max_tokens)

    def text(self, words: int) -> str:
        return self._same(words) if self._repeat else self._unseen(words)

    @property
    def notes(self) -> Sequence[str]:
        if not self._repeated:
            return ()
        return (f"{self._repeated} prompts are repetitions: too few words to be all different",)

    def _shared(self, words: int, blocks: Sequence[int]) -> str:
        """A block ends at the same word wherever it stands, so that all before it is shared too."""
        ends = [
            min(words, round(number * self._block_tokens / self._length.tokens_a_word))
            for number in range(len(blocks) + 1)
        ]
        sizes = [end - begin for begin, end in itertools.pairwise(ends)]
        pairs = zip(blocks, sizes, strict=True)
        texts = [_block(self._seed, block, size) for block, size in pairs if size]
        return " ".join([*texts, *([self._unseen(words - ends[-1])] if words > ends[-1] else [])])

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

    def next(self, prompt_tokens: int, max_tokens: int, blocks: Sequence[int] = ()) -> Prompt:
        self._taken += 1
        return Prompt(next(self._turn), max_tokens)

    @property
    def notes(self) -> Sequence[str]:
        if self._taken <= len(self._all):
            return ()
        return (f"prompts are repeated: the file has {len(self._all)}",)


def _text(words: int, draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=words))


@lru_cache(MOST_BLOCKS)
def _block(seed: int, block: int, words: int) -> str:
    """The first words of a block's text, the same for every prompt that has it."""
    return _text(words, random.Random(f"block {seed} {block}"))


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
