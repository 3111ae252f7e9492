"""Control tokens that a caller wrote are text; those of the chat template alone are tokens.

A tokenizer cannot tell `<|im_end|>` in a message from the template's own: either would end a turn.
So three things are done where a caller's text has one:

1. a mark is set into it, before the template is rendered;
2. what is whole in the rendered text is the template's, and gets a name that nobody can guess;
3. a tokenizer that knows the control tokens by these names alone reads the text, without marks.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer

from headrace.core.renamed_tokenizer import RenamedTokenizer
from headrace.core.token_pattern import pattern_of

_MARKS = range(0xE000, 0xF900)
"""Characters for private use: some of them stand in no text of a caller."""


class ControlTokens:
    """`tokens` are the texts of a tokenizer's control tokens, of two characters at least."""

    def __init__(self, tokenizer: Tokenizer, tokens: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._tokens = sorted(tokens)
        self._beginnings = {token[:end] for token in self._tokens for end in range(1, len(token))}
        self._longest = max(map(len, self._tokens), default=0)
        added = tokenizer.get_added_tokens_decoder().values()
        self._added = [token.content for token in added]
        self._single_words = {token.content for token in added if token.single_word}
        is_matched_late = any(token.normalized and token.content in self._tokens for token in added)
        self._normalizer = tokenizer.normalizer if is_matched_late else None

    def stand_in(self, value: Any) -> bool:
        """Whether a text in `value`, as JSON has it, has a control token or could begin one."""
        return any(self._is_suspect(text) for text in _texts(value))

    def marked(self, value: Any) -> tuple[Any, str]:
        """`value` with a mark in each control token of its texts, and the mark.

        Raises `RecursionError` for what is nested too deeply.
        """
        mark = _unused(_texts(value))
        return self._with_marks(value, mark), mark

    def tokenize(self, rendered: str, mark: str) -> tuple[int, ...]:
        """The ids of a text that was rendered of marked ones."""
        named = self._any_token.sub(self._named, rendered).replace(_escaped(mark), "")
        plain = named.replace(mark, "")
        ids = self._renamed.encode(plain)
        if self._has_more(ids, plain):
            return RenamedTokenizer(self._tokenizer, self._names, mark).encode(named)
        return ids

    def _has_more(self, ids: tuple[int, ...], plain: str) -> bool:
        """Whether the model itself made control tokens of texts that are in its vocabulary.

        What stands for unknown characters is none.
        """
        found, unknown = Counter(ids), getattr(self._tokenizer.model, "unk_token", None)
        return any(
            found[self._ids[token]] > plain.count(name)
            for token, name in self._names.items()
            if self._ids[token] in found and (token != unknown or token in plain)
        )

    def _named(self, found: re.Match[str]) -> str:
        """The name of a token that was found, where its tokenizer would find it."""
        around = found.string[max(0, found.start() - 1) : found.end() + 1].replace(found[0], "")
        if found[0] in self._single_words and re.search(r"\w", around):
            return found[0]
        return self._names.get(found[0], found[0])

    def _is_suspect(self, text: str) -> bool:
        if self._control.search(text) or next(self._open_ends(text), None) is not None:
            return True
        if self._normalizer is None:
            return False
        unicode = text.encode(errors="replace").decode()
        return bool(self._late_control.search(self._normalizer.normalize_str(unicode)))

    def _open_ends(self, text: str) -> Iterator[int]:
        """Where the end of a text begins a control token, which another text could complete."""
        for begin in range(max(0, len(text) - self._longest + 1), len(text)):
            if text[begin:] in self._beginnings:
                yield begin

    def _with_marks(self, value: Any, mark: str) -> Any:
        if isinstance(value, str):
            return self._broken(value, mark)
        if isinstance(value, Mapping):
            items = value.items()
            return {self._with_marks(k, mark): self._with_marks(each, mark) for k, each in items}
        if isinstance(value, list | tuple):
            return [self._with_marks(each, mark) for each in value]
        return value

    def _broken(self, text: str, mark: str) -> str:
        """Sets the mark behind the first character of each token, overlapping ones included."""
        begins = {found.start() for found in self._each_control.finditer(text)}
        cuts = sorted(begin + 1 for begin in begins.union(self._open_ends(text)))
        return mark.join(text[begin:end] for begin, end in pairwise([0, *cuts, len(text)]))

    @cached_property
    def _control(self) -> re.Pattern[str]:
        return re.compile(pattern_of(self._tokens))

    @cached_property
    def _each_control(self) -> re.Pattern[str]:
        return re.compile(f"(?={pattern_of(self._tokens)})")

    @cached_property
    def _late_control(self) -> re.Pattern[str]:
        """The tokens as the tokenizer looks for them in a text that it has normalised."""
        normalized = map(self._normalizer.normalize_str, self._tokens) if self._normalizer else ()
        return re.compile(pattern_of([*self._tokens, *filter(None, normalized)]))

    @cached_property
    def _any_token(self) -> re.Pattern[str]:
        return re.compile(pattern_of(self._added))

    @cached_property
    def _names(self) -> dict[str, str]:
        """Letters alone, of one length: no normaliser changes them, and none begins another."""
        secret, count = _letters(secrets.randbits(128), 28), len(self._tokens)
        digits = len(_letters(count, 1))
        return {
            token: f"q{secret}{_letters(number, digits)}q"
            for number, token in enumerate(self._tokens)
        }

    @cached_property
    def _ids(self) -> dict[str, int]:
        added = self._tokenizer.get_added_tokens_decoder()
        ids = {token.content: token_id for token_id, token in added.items()}
        return {token: ids[token] for token in self._tokens}

    @cached_property
    def _renamed(self) -> RenamedTokenizer:
        return RenamedTokenizer(self._tokenizer, self._names)


def _texts(value: Any) -> Iterator[str]:
    """Each text and name in `value`."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item


def _unused(texts: Iterable[str]) -> str:
    """A character that none of the texts has, nor spells as JSON would."""
    whole = "".join(texts)
    return next(
        mark for mark in map(chr, _MARKS) if mark not in whole and _escaped(mark) not in whole
    )


def _escaped(mark: str) -> str:
    """As JSON in ASCII spells it."""
    return json.dumps(mark)[1:-1]


def _letters(number: int, least: int) -> str:
    """The number in letters, padded to a length."""
    text = ""
    while number or len(text) < least:
        number, digit = divmod(number, 26)
        text += chr(ord("a") + digit)
    return text
