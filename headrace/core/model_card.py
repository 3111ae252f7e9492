"""The model card: all that the API and the engines must agree on about one model.

Built once when a model is prepared, kept beside its weights and, for the API, in Redis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from headrace.core.errors import InvalidRequest
from headrace.core.token_bytes import TokenBytes


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

    @cached_property
    def hash(self) -> str:
        """Short digest of everything above: two cards with one hash tokenise alike."""
        return hashlib.sha256(self.encode().encode()).hexdigest()[:16]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def token_bytes(self) -> TokenBytes:
        return TokenBytes(self.tokenizer)

    def tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=True).ids)

    def tokenize_chat(self, messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """The prompt of a conversation, ready for the assistant's turn.

        Raises `InvalidRequest` when the model has no template or its template refuses.
        """
        text = self.render_chat(messages)
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def render_chat(self, messages: Sequence[Mapping[str, Any]]) -> str:
        if self.chat_template is None:
            raise InvalidRequest(
                f"model {self.name} has no chat template; use /v1/completions", "messages"
            )
        try:
            text: str = self._template.render(
                messages=messages,
                add_generation_prompt=True,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
            )
        except TemplateError as error:
            raise InvalidRequest(
                f"the model's chat template refuses: {error}", "messages"
            ) from error
        return text

    @cached_property
    def _template(self) -> Any:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.globals["raise_exception"] = _raise_exception
        return environment.from_string(self.chat_template or "")

    def encode(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def decode(cls, text: str | bytes) -> Self:
        fields = json.loads(text)
        return cls(**fields | {"eos_token_ids": tuple(fields["eos_token_ids"])})


def _raise_exception(message: str) -> None:
    raise TemplateError(message)
