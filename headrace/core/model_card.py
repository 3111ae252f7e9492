"""The model card: all that the API and the engines must agree on about one model.

Built once when a model is prepared, kept beside its weights and, for the API, in Redis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from types import MappingProxyType
from typing import Any, Self

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel

from headrace.core.card_extras import CardExtras
from headrace.core.chat_template import ChatTemplate, TemplateRefused
from headrace.core.control_tokens import ControlTokens
from headrace.core.errors import InvalidRequest
from headrace.core.token_bytes import TokenBytes

HASHED = (
    "name",
    "tokenizer_json",
    "context_tokens",
    "eos_token_ids",
    "bos_token",
    "eos_token",
    "chat_template",
)
"""Fields that the hash covers and that every version decodes. A new one belongs into the extras."""

PLAIN_CHATS = [
    [{"role": role, "content": "0"} for role in roles]
    for roles in (("user", "assistant", "user"), ("system", "user", "assistant", "user"))
]

KWARGS = "chat_template_kwargs"
NO_KWARGS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class ModelCard:
    """`tokenizer_json` is the text of a `tokenizer.json`; `context_tokens` the longest sequence."""

    name: str
    tokenizer_json: str
    context_tokens: int
    eos_token_ids: tuple[int, ...]
    bos_token: str = ""
    eos_token: str = ""
    chat_template: str | None = None
    extras: CardExtras = field(default=CardExtras(), hash=False)

    @cached_property
    def hash(self) -> str:
        """Short digest of everything but the extras: two cards with one hash tokenise alike."""
        return hashlib.sha256(self.encode().encode()).hexdigest()[:16]

    @property
    def special_tokens(self) -> Mapping[str, str]:
        """Names and texts of the tokens that chat templates may use."""
        if self.extras.special_tokens is None:
            return {"bos_token": self.bos_token, "eos_token": self.eos_token}
        return self.extras.special_tokens

    @cached_property
    def tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def vocabulary_size(self) -> int:
        """Number of token ids, those of added tokens included."""
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))

    @cached_property
    def token_bytes(self) -> TokenBytes:
        return TokenBytes(self.tokenizer)

    @cached_property
    def all_token_bytes(self) -> TokenBytes:
        """The same, with the text of special tokens."""
        return TokenBytes(self.tokenizer, skip_special_tokens=False)

    def output_bytes(self, skip_special_tokens: bool) -> TokenBytes:
        """Those of which the text of an output is made."""
        return self.token_bytes if skip_special_tokens else self.all_token_bytes

    def tokenize(self, text: str) -> tuple[int, ...]:
        return self._ids(text, "prompt", add_special_tokens=True)

    def tokenize_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        kwargs: Mapping[str, Any] = NO_KWARGS,
        reads_control_tokens: bool = False,
    ) -> tuple[int, ...]:
        """The prompt of a conversation, ready for the assistant's turn.

        Control tokens in the caller's texts are text, unless `reads_control_tokens`. Raises
        `InvalidRequest` when the model has no template or its template refuses.
        """
        said = [messages, self._said(kwargs)]
        if reads_control_tokens or not self.control_tokens.stand_in(said):
            text = self.render_chat(messages, kwargs)
            return self._ids(text, "messages", add_special_tokens=False)
        try:
            (messages, marked_kwargs), mark = self.control_tokens.marked(said)
        except RecursionError as error:
            param = KWARGS if kwargs else "messages"
            raise InvalidRequest(f"{param}: nested too deeply", param) from error
        text = self.render_chat(messages, {**kwargs, **marked_kwargs})
        self._require_fit(text, "messages")
        return self.control_tokens.tokenize(text, mark)

    def _said(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What a caller's variables say, but for those that replace special tokens."""
        return {name: value for name, value in kwargs.items() if name not in self.special_tokens}

    @cached_property
    def control_tokens(self) -> ControlTokens:
        """Special tokens, and those by which the chat template tells turns apart."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}
        others = {token.content for token in added if not token.special and token.content.strip()}
        framing = {token for token in others if token in self._framing}
        tokens = [token for token in special | framing if len(token) > 1]
        return ControlTokens(self.tokenizer, tokens)

    @property
    def _framing(self) -> str:
        """What the chat template writes around the turns of plain conversations."""
        frames = []
        for conversation in PLAIN_CHATS:
            with suppress(TemplateRefused):
                frames.append(self._render(conversation, {"add_generation_prompt": False}))
        return "\n".join(frames)

    def _ids(self, text: str, param: str, *, add_special_tokens: bool) -> tuple[int, ...]:
        """Calls what computes no offsets and lets other threads run meanwhile.

        `encode` takes eight times as long, 4 s for a megabyte, and holds Python's lock.
        """
        self._require_fit(text, param)
        [encoded] = self.tokenizer.encode_batch_fast([text], add_special_tokens=add_special_tokens)
        return tuple(encoded.ids)

    def _require_fit(self, text: str, param: str) -> None:
        """Raises `InvalidRequest` for a text that cannot fit, without reading it."""
        if len(text) > self.longest_prompt:
            raise InvalidRequest(
                f"{param}: {len(text)} characters, more than any {self.context_tokens} tokens"
                " have, which is the model's context",
                param,
                "context_length_exceeded",
            )

    @cached_property
    def longest_prompt(self) -> float:
        """Characters of which a text with more has more tokens than the context, whatever it says.

        Infinite where a token of this tokenizer may stand for any number of characters.
        """
        tokenizer = self.tokenizer
        added = tokenizer.get_added_tokens_decoder().values()
        takes_spaces = any(token.lstrip or token.rstrip for token in added)
        if tokenizer.normalizer or takes_spaces or not isinstance(tokenizer.decoder, ByteLevel):
            return inf
        return self.context_tokens * max(map(len, tokenizer.get_vocab(with_added_tokens=True)))

    def render_chat(
        self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any] = NO_KWARGS
    ) -> str:
        """Renders the same prompt as text. `kwargs` are further variables of the template."""
        if self.chat_template is None:
            raise InvalidRequest(
                f"model {self.name} has no chat template; use /v1/completions", "messages"
            )
        if self.extras.chat_error is not None and not kwargs:
            raise self._complaint(self.extras.chat_error, "messages")
        try:
            return self._render(messages, kwargs)
        except TemplateRefused as error:
            param = KWARGS if kwargs and self.refusal(messages) is None else "messages"
            raise self._complaint(error, param) from error

    def refusal(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        """Why the template does not take this conversation by itself; None where it does."""
        try:
            self._render(messages, NO_KWARGS)
        except TemplateRefused as error:
            return str(error)
        return None

    def _render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> str:
        """Calls the template like transformers' `apply_chat_template`."""
        conversation = {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": True,
        }
        return self._template.render({**self.special_tokens, **conversation, **kwargs})

    @cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(self.chat_template or "")

    def _complaint(self, reason: object, param: str) -> InvalidRequest:
        return InvalidRequest(f"the model's chat template refuses: {reason}", param)

    def encode(self) -> str:
        """JSON of the fields that the hash covers."""
        return json.dumps({name: getattr(self, name) for name in HASHED}, sort_keys=True)

    def encode_extras(self) -> str:
        return self.extras.encode(self.hash)

    @classmethod
    def decode(cls, text: str | bytes, extras: str | bytes | None = None) -> Self:
        """Raises `ValueError`, `TypeError` or `KeyError` for what is no card."""
        fields = json.loads(text)
        card = cls(**fields | {"eos_token_ids": tuple(fields["eos_token_ids"])})
        return replace(card, extras=CardExtras.decode(extras, card.hash))
