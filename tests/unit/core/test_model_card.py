"""The model card: templates, tokens, and what changes its hash."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from headrace.core.card_extras import CardExtras
from headrace.core.errors import InvalidRequest
from headrace.core.model_card import ModelCard
from headrace.core.sampling_defaults import SamplingDefaults
from tests.fakes import CARD

EXTRAS = CardExtras(
    special_tokens={"eos_token": "</s>", "pad_token": "<pad>"},
    sampling=SamplingDefaults(temperature=0.6, top_k=20),
    chat_error="it takes too long",
)

USER = [{"role": "user", "content": "hi"}]


def with_template(template: str | None) -> ModelCard:
    return replace(CARD, chat_template=template)


def test_a_card_survives_its_encoding_with_its_hash() -> None:
    decoded = ModelCard.decode(CARD.encode())

    assert decoded == CARD
    assert decoded.hash == CARD.hash


def test_another_template_or_context_is_another_card() -> None:
    assert len({CARD.hash, with_template("x").hash, replace(CARD, context_tokens=9).hash}) == 3


def test_a_card_is_hashed_as_the_version_before_hashes_it() -> None:
    card = ModelCard("m", "{}", 8, (0, 2), "<s>", "</s>", "{{ messages }}", EXTRAS)

    assert card.hash == "62e36dd7dbd5de66"
    assert ModelCard("m", "{}", 8, (0, 2)).hash == "402159703e556fe8"


def test_the_version_before_reads_a_card_with_extras() -> None:
    card = replace(CARD, extras=EXTRAS)

    assert json.loads(card.encode()).keys() == {
        *("name", "tokenizer_json", "context_tokens", "eos_token_ids"),
        *("bos_token", "eos_token", "chat_template"),
    }
    assert card.encode() == CARD.encode()


def test_extras_survive_their_encoding() -> None:
    card = replace(CARD, extras=EXTRAS)

    assert ModelCard.decode(card.encode(), card.encode_extras()) == card


@pytest.mark.parametrize("extras", [None, "", b"", replace(CARD, name="other").encode_extras()])
def test_without_extras_of_its_own_a_card_has_defaults(extras: str | bytes | None) -> None:
    assert ModelCard.decode(CARD.encode(), extras).extras == CardExtras()


def test_extras_of_a_newer_version_are_read_as_far_as_they_are_known() -> None:
    newer = {"card": CARD.hash, "extras": {"chat_error": "no", "news": 1, "sampling": {"a": 1}}}

    decoded = ModelCard.decode(CARD.encode(), json.dumps(newer))

    assert decoded.extras == CardExtras(chat_error="no")


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


def test_a_template_knows_every_special_token() -> None:
    names = "{{ eos_token }}{{ pad_token }}{{ bos_token is defined }}"
    card = replace(with_template(names), extras=replace_extras(chat_error=None))

    assert card.render_chat(USER) == "</s><pad>False"


def test_a_card_of_a_version_before_knows_two_special_tokens() -> None:
    card = replace(with_template("{{ bos_token }}{{ eos_token }}"), bos_token="<s>")

    assert card.render_chat(USER) == f"<s>{CARD.eos_token}"


def test_a_caller_may_set_variables_of_the_template() -> None:
    card = with_template("{{ enable_thinking }} {{ eos_token }}")

    assert card.render_chat(USER, {"enable_thinking": False, "eos_token": "#"}) == "False #"


def test_a_template_that_failed_its_probe_is_not_rendered_again() -> None:
    card = replace(with_template("{{ 1 / 0 }}"), extras=EXTRAS)

    with pytest.raises(InvalidRequest, match="refuses: it takes too long"):
        card.render_chat(USER)


def test_variables_of_a_caller_may_be_what_a_template_needs() -> None:
    card = replace(with_template("{{ date.upper() }}"), extras=EXTRAS)

    assert card.render_chat(USER, {"date": "may"}) == "MAY"


@pytest.mark.parametrize(
    ("template", "param"),
    [("{{ messages[0].content + extra }}", "chat_template_kwargs"), ("{{ 1 / 0 }}", "messages")],
)
def test_what_makes_a_template_fail_is_named(template: str, param: str) -> None:
    with pytest.raises(InvalidRequest, match="refuses: ") as raised:
        with_template(template.replace("extra", "(extra or 'x')")).render_chat(USER, {"extra": 5})
    assert raised.value.param == param


def replace_extras(**changes: Any) -> CardExtras:
    return EXTRAS.model_copy(update=changes)
