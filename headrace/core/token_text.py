"""The text of one output: it goes on where its prompt ends."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from itertools import islice

from headrace.core.token_bytes import TokenBytes

REPLACEMENT = "\ufffd"
"""What stands for bytes that are no character."""

_CONTEXT_TOKENS = 4
"""A character begun in the prompt has three bytes at most; they are in its last three tokens."""


class TokenText:
    """Turns output ids into text, one id at a time.

    The text is what a decoder makes of prompt and output together, less what it makes of the
    prompt: it may begin with a space. A character appears with the token that completes it.
    """

    def __init__(self, tokens: TokenBytes, prompt_ids: Sequence[int] = ()) -> None:
        self._tokens = tokens
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._last: int | None = None
        for token_id in _context(tokens, prompt_ids):
            self._read(token_id)
        self._is_begun = bool(self._characters.getstate()[0])

    def add(self, token_id: int) -> str:
        """The text that an id completes."""
        text = self._tokens.whole_text(token_id)
        if text is None or self._characters.getstate()[0]:
            return self._own(self._read(token_id)) if self._tokens.has_text(token_id) else ""
        if text:
            self._last = token_id
        return text

    def flush(self) -> str:
        """The rest, of an output that ends in the middle of a character."""
        return self._own(self._characters.decode(b"", final=True))

    def _read(self, token_id: int) -> str:
        data = self._tokens.behind(self._last, token_id)
        self._last = token_id
        return self._characters.decode(data)

    def _own(self, text: str) -> str:
        """Without the character that the prompt left unfinished, where nothing finished it."""
        if not (text and self._is_begun):
            return text
        self._is_begun = False
        return text.removeprefix(REPLACEMENT)


def _context(tokens: TokenBytes, prompt_ids: Sequence[int]) -> Iterable[int]:
    """The last ids of a prompt that have text."""
    with_text = (token_id for token_id in reversed(prompt_ids) if tokens.has_text(token_id))
    return reversed(list(islice(with_text, _CONTEXT_TOKENS)))
