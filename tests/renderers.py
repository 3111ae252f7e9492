"""One chat template, one conversation, two renderers: ours and transformers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from headrace.core.card_extras import CardExtras
from headrace.core.errors import InvalidRequest
from headrace.core.model_card import ModelCard
from tests.fakes import CARD
from tests.tiny_models import make_tokenizer

Conversation = Sequence[Mapping[str, Any]]
SPECIAL = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "<sep>",
    "pad_token": "<pad>",
    "cls_token": "<cls>",
    "mask_token": "<mask>",
}
NOW = datetime(2026, 2, 3, 4, 5, 6)


class FrozenTime(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return NOW


def freeze_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """For both renderers."""
    for module in ("headrace.core.chat_template", "transformers.utils.chat_template_utils"):
        monkeypatch.setattr(f"{module}.datetime", FrozenTime)


@cache
def _tokenizer() -> Any:
    return PreTrainedTokenizerFast(tokenizer_object=make_tokenizer(), **SPECIAL)


@dataclass(frozen=True)
class Renderers:
    """`expected` and `text` are None where a renderer refuses."""

    template: str

    def expected(self, messages: Conversation, kwargs: Mapping[str, Any]) -> str | None:
        conversation = [dict(message) for message in messages]
        try:
            text: str = _tokenizer().apply_chat_template(
                conversation,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=True,
                **kwargs,
            )
        except Exception:  # a template raises whatever it likes
            return None
        return text

    def text(self, messages: Conversation, kwargs: Mapping[str, Any]) -> str | None:
        try:
            return self.card.render_chat(messages, kwargs)
        except InvalidRequest:
            return None

    @cached_property
    def card(self) -> ModelCard:
        extras = CardExtras(special_tokens=SPECIAL)
        return replace(CARD, chat_template=self.template, extras=extras)
