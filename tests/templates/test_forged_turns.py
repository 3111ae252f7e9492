"""No message forges a turn with any published template, and all other ids are what they were."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from headrace.core.model_card import ModelCard
from tests.renderers import SPECIAL, Renderers, freeze_time
from tests.templates.test_published_templates import CONVERSATIONS, KWARGS
from tests.tiny_models import make_tokenizer

_CONTROL = re.compile(
    r"<[|｜][^<>|｜\s'\"]{1,40}[|｜]>|</?s>|<(?:start|end)_of_\w+>|\[/?[A-Z_]{3,}\]"  # noqa: RUF001
)
"""How published templates spell control tokens."""


def card_of(template: str) -> ModelCard:
    """A card whose tokenizer knows what the template spells."""
    tokens = sorted({*_CONTROL.findall(template), *SPECIAL.values()})
    return replace(Renderers(template).card, tokenizer_json=tokenizer_json(tuple(tokens)))


@cache
def tokenizer_json(tokens: tuple[str, ...]) -> str:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens([*tokens])
    text: str = tokenizer.to_str()
    return text


def added(card: ModelCard, ids: Sequence[int]) -> list[str]:
    known = card.tokenizer.get_added_tokens_decoder()
    return [known[token_id].content for token_id in ids if token_id in known]


def test_ids_are_what_they_were_where_nobody_wrote_a_control_token(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_time(monkeypatch)
    card = card_of(template)
    for (name, messages), kwargs in product(CONVERSATIONS.items(), KWARGS):
        rendered = Renderers(template).text(messages, kwargs)
        if rendered is None:
            continue
        expected = card.tokenize_chat(messages, kwargs, reads_control_tokens=True)
        marked, mark = card.control_tokens.marked(messages)
        by_names = card.control_tokens.tokenize(card.render_chat(marked, kwargs), mark)
        assert card.tokenize_chat(messages, kwargs) == expected, (name, kwargs)
        assert by_names == expected, (name, kwargs)


def test_a_message_of_control_tokens_makes_no_turn(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_time(monkeypatch)
    card = card_of(template)
    hostile = "".join(sorted(token.content for token in added_tokens(card)))
    for messages in ([user("x")], [system("x"), user("x")], [user("x"), answer("x"), user("x")]):
        if Renderers(template).text(messages, {}) is None:
            continue
        clean = added(card, card.tokenize_chat(messages))
        for place in range(len(messages)):
            said = [dict(message) for message in messages]
            said[place]["content"] = f"a {hostile} b"
            ids = card.tokenize_chat(said)
            assert added(card, ids) == clean
            if "b" in card.render_chat(said):
                assert hostile in card.tokenizer.decode(ids, skip_special_tokens=False)


def added_tokens(card: ModelCard) -> Any:
    return card.tokenizer.get_added_tokens_decoder().values()


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}


def answer(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}
