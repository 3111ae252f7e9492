"""ShownTokens: the logprobs of an output as far as its text goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from api.turns import in_turns
from headrace.core.model_card import ModelCard
from headrace.core.token_text import TokenText
from headrace.core.types import Request, TokenLogprobs


class Placed(NamedTuple):
    """An entry, and where the text of its token begins: characters of the output."""

    begin: int
    entry: TokenLogprobs


class ShownTokens:
    """Gives out the entries of tokens whose text was given out, piece by piece of a stream.

    Where a stop string may cut the text off, an entry waits until its text is there, and those
    behind the cut are dropped. A character counts with the token that completes it.
    """

    def __init__(self, card: ModelCard, request: Request) -> None:
        rules = request.sampling
        ends = () if rules.ignore_eos else card.eos_token_ids
        self._ends = frozenset((*rules.stop_token_ids, *ends))
        self._may_be_cut = bool(rules.stop)
        self._text_of = TokenText(card.output_bytes(rules.skip_special_tokens), request.prompt_ids)
        self._held: list[Placed] = []
        self._decoded = 0
        self._shown = 0

    def take(self, entries: Sequence[TokenLogprobs], text: str, is_over: bool) -> Sequence[Placed]:
        """The entries to show after these ones and this text came; `is_over` with the last."""
        self._shown += len(text)
        self._held += self._place(entries)
        ready = len(self._held)
        if self._may_be_cut and not (is_over and self._is_whole()):
            ready = sum(placed.begin < self._shown for placed in self._held)
        shown, self._held = self._held[:ready], self._held[ready:]
        return shown

    def _place(self, entries: Sequence[TokenLogprobs]) -> Iterator[Placed]:
        for entry in in_turns(entries):
            yield Placed(self._decoded, entry)
            self._decoded += len(self._text_of.add(entry.token_id))

    def _is_whole(self) -> bool:
        """Whether the text of all tokens was shown; an end of the output is no part of it."""
        last = self._held[-1] if self._held else None
        if last is not None and last.entry.token_id in self._ends:
            return last.begin <= self._shown
        return self._decoded + len(self._text_of.flush()) <= self._shown
