"""Incremental detokenisation: the ids of one output become text as early as they safely can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headrace.core.token_bytes import TokenBytes
from headrace.core.token_text import TokenText


class Detokenizer:
    """Turns the ids of an output into text behind its prompt, up to a stop string.

    Text is held back while it may still become part of a character or of a stop string. What has
    been given out after k ids depends on the prompt and these k ids alone, never on how they were
    grouped. The prompt's text is never given out, and is no part of a stop string. One that ends
    among the first `min_tokens` ids counts for nothing.
    """

    def __init__(
        self,
        tokens: TokenBytes,
        prompt_ids: Sequence[int] = (),
        stop: Sequence[str] = (),
        min_tokens: int = 0,
    ) -> None:
        self.stopped = False
        self._text = TokenText(tokens, prompt_ids)
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self._exempt_tokens = min_tokens
        self._exempt_characters = 0

    def add(self, ids: Iterable[int]) -> str:
        """The text that `ids` release; empty once a stop string has been met."""
        return "".join(map(self.add_one, ids))

    def add_one(self, token_id: int) -> str:
        """The text that one id releases."""
        if self._stop:
            return "" if self.stopped else self._release(self._text.add(token_id))
        return self._text.add(token_id)

    def flush(self) -> str:
        """The text still held, for an output that ends without a stop string."""
        if self.stopped:
            return ""
        rest, self._held = self._held + self._text.flush(), ""
        return rest

    def _release(self, fresh: str) -> str:
        self._held += fresh
        if self._exempt_tokens > 0:
            self._exempt_tokens -= 1
            self._exempt_characters = len(self._held)
        found = [at for at in map(self._find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max((_overlap(self._held, text) for text in self._stop), default=0)
        released = self._held[: len(self._held) - keep]
        self._held = self._held[len(released) :]
        self._exempt_characters = max(0, self._exempt_characters - len(released))
        return released

    def _find(self, stop: str) -> int:
        """Where a stop string begins in the text held that ends behind the exempt characters."""
        return self._held.find(stop, max(0, self._exempt_characters - len(stop) + 1))


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop` without completing it."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
