"""The logprobs of one choice as OpenAI writes them, whole or piece by piece of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.openai_answers import ChatLogprobsView, ChatToken, CompletionLogprobsView, TokenView
from api.shown_tokens import Placed, ShownTokens
from api.turns import in_turns
from headrace.core.model_card import ModelCard
from headrace.core.types import Request, TokenLogprobs


class NoLogprobs:
    """Of a choice whose request did not ask."""

    def write(self, entries: Sequence[TokenLogprobs], text: str, is_over: bool) -> Any:
        return None


class Logprobs(NoLogprobs):
    """Writes the entries of tokens as far as the text of the choice goes."""

    def __init__(self, card: ModelCard, request: Request) -> None:
        self._tokens = card.token_bytes
        self._shown = ShownTokens(card, request)

    def write(self, entries: Sequence[TokenLogprobs], text: str, is_over: bool) -> Any:
        """Returns what `entries` and `text`, which came together, add; None for no shown token."""
        placed = self._shown.take(entries, text, is_over)
        return self._view(placed) if placed else None

    def _view(self, placed: Sequence[Placed]) -> Any:
        raise NotImplementedError


class ChatLogprobs(Logprobs):
    """A token has its text and its bytes: one alone may be a part of a character only."""

    def _view(self, placed: Sequence[Placed]) -> ChatLogprobsView:
        content = [self._with_alternatives(entry) for _begin, entry in in_turns(placed)]
        return {"content": content, "refusal": None}

    def _with_alternatives(self, entry: TokenLogprobs) -> ChatToken:
        token = self._token(entry.token_id, entry.logprob)
        return {**token, "top_logprobs": [self._token(*alternative) for alternative in entry.top]}

    def _token(self, token_id: int, logprob: float) -> TokenView:
        data = self._tokens.of(token_id)
        return {"token": shown(data), "logprob": logprob, "bytes": list(data)}


class CompletionLogprobs(Logprobs):
    """Four lists, one entry a token; offsets count characters of the choice's text."""

    def _view(self, placed: Sequence[Placed]) -> CompletionLogprobsView:
        entries = [entry for _begin, entry in placed]
        has_top = any(entry.top for entry in entries)
        return {
            "tokens": [self._text(entry.token_id) for entry in in_turns(entries)],
            "token_logprobs": [entry.logprob for entry in entries],
            "top_logprobs": [self._top(entry) for entry in in_turns(entries)] if has_top else None,
            "text_offset": [begin for begin, _entry in placed],
        }

    def _top(self, entry: TokenLogprobs) -> dict[str, float]:
        """The alternatives, and the token itself if it is none of them."""
        found = (*entry.top, (entry.token_id, entry.logprob))
        # Backwards, so that the likeliest of those with one text is shown.
        return {self._text(token_id): logprob for token_id, logprob in reversed(found)}

    def _text(self, token_id: int) -> str:
        return shown(self._tokens.of(token_id))


def shown(data: bytes) -> str:
    """The text of a token; of one that is only a part of a character its bytes, as OpenAI does."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
