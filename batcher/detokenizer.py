"""Incremental detokenisation: the ids of one output become text as early as they safely can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

REPLACEMENT = "\ufffd"
"""What a tokenizer decodes an unfinished UTF-8 character to, or each of its bytes."""

_MOST_UNFINISHED = 3
"""A UTF-8 character has four bytes at most: ids before the last three cannot be part of one."""


class Detokenizer:
    """Turns output ids into text, one id at a time.

    Text is held back while it may still become part of a character or of a stop string. What has
    been given out after k ids depends on these k ids alone, never on how they were grouped.
    Special tokens have no text. Only a window of ids is decoded again: those behind the last whole
    character, with the ones before it, since decoders treat the start of a text differently.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._special = _special_ids(tokenizer)
        self._stop = tuple(text for text in stop if text)
        self._window: list[int] = []
        self._whole_ids = 0
        self._given = 0
        self._held = ""

    def add(self, ids: Iterable[int]) -> str:
        """The text that `ids` release; empty once a stop string has been met."""
        return "".join(self._add(token_id) for token_id in ids)

    def flush(self) -> str:
        """The text still held, for an output that ends without a stop string."""
        if self.stopped:
            return ""
        rest = self._held + self._decode()[self._given :]
        self._window, self._whole_ids, self._given, self._held = [], 0, 0, ""
        return rest

    def _add(self, token_id: int) -> str:
        if self.stopped or token_id in self._special:
            return ""
        self._window.append(token_id)
        return self._release(self._settle())

    def _settle(self) -> str:
        """The new text up to the last whole character."""
        text = self._decode()
        unfinished = len(text) - len(text.rstrip(REPLACEMENT))
        if len(self._window) - self._whole_ids > _MOST_UNFINISHED:
            unfinished = min(unfinished, _MOST_UNFINISHED)
        fresh = text[self._given : len(text) - unfinished]
        self._given += len(fresh)
        if fresh and not unfinished:
            self._window = self._window[self._whole_ids :]
            self._whole_ids = len(self._window)
            self._given = len(self._decode())
        return fresh

    def _release(self, fresh: str) -> str:
        self._held += fresh
        found = [at for at in (self._held.find(text) for text in self._stop) if at >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max((_overlap(self._held, text) for text in self._stop), default=0)
        released = self._held[: len(self._held) - keep]
        self._held = self._held[len(released) :]
        return released

    def _decode(self) -> str:
        return self._tokenizer.decode(self._window, skip_special_tokens=True)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop` without completing it."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


def _special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(token_id for token_id, token in added.items() if token.special)
