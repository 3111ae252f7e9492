"""The logprobs of one choice as OpenAI writes them, whole or piece by piece of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.openai_answers import ChatLogprobsView, ChatToken, CompletionLogprobsView, TokenView
from api.turns import in_turns
from headrace.core.model_card import ModelCard
from headrace.core.token_text import TokenText
from headrace.core.types import Request, TokenLogprobs


class NoLogprobs:
    """Of a choice whose request did not ask."""

    def write(self, entries: Sequence[TokenLogprobs]) -> Any:
        return None


class ChatLogprobs(NoLogprobs):
    """A token has its text and its bytes: one alone may be a part of a character only."""

    def __init__(self, card: ModelCard, request: Request) -> None:
        self._card = card

    def write(self, entries: Sequence[TokenLogprobs]) -> ChatLogprobsView | None:
        """None where no token came."""
        content = [self._with_alternatives(entry) for entry in in_turns(entries)]
        return {"content": content, "refusal": None} if content else None

    def _with_alternatives(self, entry: TokenLogprobs) -> ChatToken:
        token = self._token(entry.token_id, entry.logprob)
        return {**token, "top_logprobs": [self._token(*alternative) for alternative in entry.top]}

    def _token(self, token_id: int, logprob: float) -> TokenView:
        data = self._card.token_bytes.of(token_id)
        return {"token": shown(data), "logprob": logprob, "bytes": list(data)}


class CompletionLogprobs(NoLogprobs):
    """Four lists, one entry a token; offsets count characters of the choice's text."""

    def __init__(self, card: ModelCard, request: Request) -> None:
        self._tokens = card.token_bytes
        shown = card.output_bytes(request.sampling.skip_special_tokens)
        self._text_of = TokenText(shown, request.prompt_ids)
        self._offset = 0

    def write(self, entries: Sequence[TokenLogprobs]) -> CompletionLogprobsView | None:
        """None where no token came."""
        if not entries:
            return None
        has_top = any(entry.top for entry in entries)
        return {
            "tokens": [self._text(entry.token_id) for entry in in_turns(entries)],
            "token_logprobs": [entry.logprob for entry in entries],
            "top_logprobs": [self._top(entry) for entry in in_turns(entries)] if has_top else None,
            "text_offset": [self._advance(entry.token_id) for entry in in_turns(entries)],
        }

    def _top(self, entry: TokenLogprobs) -> dict[str, float]:
        """The alternatives, and the token itself if it is none of them."""
        found = (*entry.top, (entry.token_id, entry.logprob))
        # Backwards, so that the likeliest of those with one text is shown.
        return {self._text(token_id): logprob for token_id, logprob in reversed(found)}

    def _advance(self, token_id: int) -> int:
        """Where the token begins; a character counts with the token that completes it."""
        begin = self._offset
        self._offset += len(self._text_of.add(token_id))
        return begin

    def _text(self, token_id: int) -> str:
        return shown(self._tokens.of(token_id))


def shown(data: bytes) -> str:
    """The text of a token; of one that is only a part of a character its bytes, as OpenAI does."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
