"""The probe conversation: what is said of a chat template before anybody chats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batcher.chat_probe import probe_chat
from headrace.core.errors import InvalidRequest
from tests.fakes import CARD

WITHOUT_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}ok"
)
WITH_SYSTEM = "{% if messages[0].role == 'user' %}{{ raise_exception('instruct me') }}{% endif %}ok"


def probe(template: str | None) -> tuple[str | None, list[str]]:
    told: list[str] = []
    card = probe_chat(replace(CARD, chat_template=template), told.append)
    assert card.hash == replace(CARD, chat_template=template).hash
    return card.extras.chat_error, told


@pytest.mark.parametrize("template", [None, CARD.chat_template])
def test_a_template_that_renders_is_no_news(template: str | None) -> None:
    assert probe(template) == (None, [])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for %}", "line 1: Expected an expression, got 'end of statement block'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{% nonsense %}", "line 1: Encountered unknown tag 'nonsense'."),
    ],
)
def test_a_template_that_renders_nothing_is_told_and_kept_with_the_card(
    template: str, reason: str
) -> None:
    line = f"chats of tiny are refused, as its chat template fails: {reason}"

    assert probe(template) == (reason, [line])


def test_a_model_whose_template_fails_still_completes() -> None:
    card = probe_chat(replace(CARD, chat_template="{{ 1 / 0 }}"), print)

    assert card.tokenize("hello")
    with pytest.raises(InvalidRequest, match="ZeroDivisionError"):
        card.tokenize_chat([{"role": "user", "content": "x"}])


def test_a_template_without_a_system_role_is_told_and_served() -> None:
    assert probe(WITHOUT_SYSTEM) == (None, ["chats of tiny take no system message: no system role"])


def test_a_template_that_wants_a_system_message_is_told_and_served() -> None:
    assert probe(WITH_SYSTEM) == (None, ["chats of tiny need a system message: instruct me"])
