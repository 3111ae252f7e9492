from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import InvalidRequest
from headrace.loadtest.datasets import conversations
from headrace.loadtest.datasets.conversations import Conversation, Exchange, read_conversations


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chats.json"


def said(*texts: str, roles: tuple[str, str] = ("human", "gpt")) -> dict[str, Any]:
    who = [roles[number % 2] for number in range(len(texts))]
    pairs = zip(who, texts, strict=True)
    return {"conversations": [{"from": role, "value": text} for role, text in pairs]}


def test_questions_are_kept_with_the_lengths_of_their_answers(file: Path) -> None:
    file.write_text(json.dumps([said("Why?", "Because."), said("How?", "So.", "And?", "Thus.")]))
    found = read_conversations(file, turns=2)
    assert found.kept == [
        Conversation("", [Exchange("Why?", 8)]),
        Conversation("", [Exchange("How?", 3), Exchange("And?", 5)]),
    ]
    assert "Because." in found.sample
    assert [len(each.exchanges) for each in read_conversations(file, turns=1).kept] == [1, 1]


def test_messages_of_openai_are_read_by_line_with_their_system_message(file: Path) -> None:
    parts = [{"type": "text", "text": "Why?"}]
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": "Because."},
        ]
    }
    file.write_text(json.dumps(row) + "\n")
    assert read_conversations(file, 1).kept == [
        Conversation("Be brief.", [Exchange("Why?", 8)]),
    ]


def test_what_begins_with_no_answered_question_is_counted(file: Path) -> None:
    rows = [said("hm", "Why?", roles=("gpt", "human")), said("Alone?"), said("Why?", "So."), said()]
    file.write_text(json.dumps(rows))
    found = read_conversations(file, 1)
    assert (found.read, found.left_out, len(found.kept)) == (4, 3, 1)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": "Why?"}, 'line 3: neither "conversations" nor "messages"'),
        (["Why?"], 'line 3: neither "conversations" nor "messages"'),
        ({"conversations": "Why?"}, "line 3: conversations: is no list"),
        (
            {"conversations": [{"from": "tool", "value": ""}]},
            r"conversations\[0\].from: 'tool' is none of human",
        ),
        ({"messages": ["Why?"]}, r"messages\[0\].role: None is none of"),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\].content: is no text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            r"messages\[0\].content: is no text",
        ),
        ({"conversations": [{"from": "human"}]}, r"conversations\[0\].value: is no text"),
    ],
)
def test_a_bad_row_is_named_by_line_and_field(file: Path, row: Any, says: str) -> None:
    file.write_text("[\n" + json.dumps(said("Why?", "So.")) + ",\n" + json.dumps(row) + "]")
    with pytest.raises(InvalidRequest, match=f"--dataset: .*chats.json: .*{says}"):
        read_conversations(file, 1)


def test_a_file_without_an_answered_question_is_refused(file: Path) -> None:
    file.write_text(json.dumps([said("Alone?")]))
    with pytest.raises(InvalidRequest, match="has no question with an answer"):
        read_conversations(file, 1)


def test_of_a_huge_file_only_the_begin_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "MOST_CONVERSATIONS", 3)
    file.write_text(json.dumps([said("Why?", "So.")] * 5) + "never read")
    found = read_conversations(file, 1)
    assert (len(found.kept), found.read, found.is_whole) == (3, 3, False)
