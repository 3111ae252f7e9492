"""Published chat templates render as transformers renders them, or are refused where it raises."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import pytest

from tests.renderers import Renderers, freeze_time

USER = {"role": "user", "content": "  Grüße, 東京! <b>'How'</b> \"are\" you?\n"}
SYSTEM = {"role": "system", "content": "Answer briefly.\n\nUse {{ braces }} never."}
ANSWER = {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nWell."}
CONVERSATIONS = {
    "user": [USER],
    "system": [SYSTEM, USER],
    "turns": [SYSTEM, USER, ANSWER, {"role": "user", "content": "Good."}],
    "many turns": [USER, ANSWER, USER, ANSWER, USER],
    "only a system message": [SYSTEM],
    "an empty message": [{"role": "user", "content": ""}],
    "the answer last": [USER, ANSWER],
    "two of the user": [USER, USER],
}
KWARGS: list[dict[str, Any]] = [
    {},
    {"enable_thinking": False},
    {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
    {"date_string": "26 Jul 2024", "thinking": False, "model_identity": "You are a river."},
    {"documents": [{"doc_id": 1, "title": "Ä <x>", "text": "b"}], "xml_tools": ["<a>"]},
    {"enable_thinking": None, "date_string": 5, "reasoning_effort": {"b": 1, "a": [1.5, None]}},
    {"bos_token": "<other>", "custom_instructions": "Rhyme."},
]
FAMILIES = [
    "*Llama-3.2*",
    "*Qwen3-*",
    "*Mistral-Small-3*",
    "*gpt-oss*",
    "*granite-3.3*",
    "LFM2.5*",
    "*SmolLM3*",
    "*gemma*",
    "*Phi*",
    "*DeepSeek*",
]


@pytest.mark.parametrize("kwargs", KWARGS, ids=str)
def test_a_template_renders_as_in_transformers(
    template: str, kwargs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_time(monkeypatch)
    renderers = Renderers(template)
    for name, messages in CONVERSATIONS.items():
        expected = renderers.expected(messages, kwargs)
        assert renderers.text(messages, kwargs) == expected, name


def test_the_well_known_families_are_among_them_and_take_a_chat(
    templates: dict[str, str],
) -> None:
    for family in FAMILIES:
        found = [text for name, text in templates.items() if fnmatch(name, family)]
        assert found, family
        assert all(Renderers(text).text([USER], {}) for text in found), family
