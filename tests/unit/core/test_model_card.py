"""The model card: templates, tokens, and what changes its hash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.errors import InvalidRequest
from headrace.core.model_card import ModelCard
from tests.fakes import CARD

USER = [{"role": "user", "content": "hi"}]


def with_template(template: str | None) -> ModelCard:
    return replace(CARD, chat_template=template)


def test_a_card_survives_its_encoding_with_its_hash() -> None:
    decoded = ModelCard.decode(CARD.encode())

    assert decoded == CARD
    assert decoded.hash == CARD.hash


def test_another_template_or_context_is_another_card() -> None:
    assert len({CARD.hash, with_template("x").hash, replace(CARD, context_tokens=9).hash}) == 3


def test_text_is_tokenised_and_back() -> None:
    assert CARD.tokenizer.decode(list(CARD.tokenize("naïve 🙂"))) == "naïve 🙂"


def test_a_conversation_is_rendered_ready_for_the_answer() -> None:
    assert CARD.render_chat(USER) == "user: hi\nassistant: "


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        (None, "no chat template"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ ''.__class__.__mro__ }}", "refuses"),
        ("{% for %}", "refuses"),
    ],
)
def test_a_template_that_cannot_be_used_is_the_callers_to_know(
    template: str | None, complaint: str
) -> None:
    with pytest.raises(InvalidRequest, match=complaint) as raised:
        with_template(template).render_chat(USER)
    assert raised.value.param == "messages"
