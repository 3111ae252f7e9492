"""Conversations from a file in the shape of ShareGPT, or of OpenAI's messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from headrace.core.errors import InvalidRequest
from headrace.loadtest.json_items import Item, read_items

ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "assistant"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
SHAPES = {"conversations": ("from", "value"), "messages": ("role", "content")}
"""The fields of who speaks and of what is said, by the field of the list."""

MOST_CONVERSATIONS, MOST_CHARACTERS = 10_000, 64_000_000
"""What is kept of a file; the rest is not read."""


@dataclass(frozen=True)
class Exchange:
    """A question, and how many characters its answer has."""

    question: str
    answer_length: int


@dataclass(frozen=True)
class Conversation:
    """At least one exchange, after what a system message says."""

    system: str
    exchanges: Sequence[Exchange]

    @property
    def length(self) -> int:
        """Characters of the questions."""
        return len(self.system) + sum(len(each.question) for each in self.exchanges)


@dataclass(frozen=True)
class Conversations:
    """`read` of the file, of which `left_out` begin with no question and answer."""

    kept: Sequence[Conversation]
    sample: str
    read: int
    left_out: int
    is_whole: bool


def read_conversations(path: Path, turns: int) -> Conversations:
    """The first `turns` exchanges of each. Raises `InvalidRequest`, naming line and field."""
    kept: list[Conversation] = []
    samples: list[str] = []
    read = characters = 0
    is_whole = True
    for item in read_items("--dataset", path):
        if len(kept) == MOST_CONVERSATIONS or characters > MOST_CHARACTERS:
            is_whole = False
            break
        read += 1
        said = list(_messages(f"--dataset: {path}: line {item.line}", item))
        if (found := _conversation(said, turns)) is not None:
            kept.append(found)
            characters += found.length
            samples += [text for role, text in said if role == "assistant"] if read < 100 else []
    if not kept:
        raise InvalidRequest(f"--dataset: {path} has no question with an answer")
    return Conversations(kept, " ".join(samples), read, read - len(kept), is_whole)


def _conversation(said: Sequence[tuple[str, str]], turns: int) -> Conversation | None:
    """None for one that does not begin with a question and its answer."""
    bare = [(role, text) for role, text in said if role != "system"]
    system = "\n".join(text for role, text in said if role == "system")
    exchanges = list(_exchanges(bare))[:turns]
    return Conversation(system, exchanges) if exchanges else None


def _exchanges(said: Sequence[tuple[str, str]]) -> Iterator[Exchange]:
    """As long as questions and answers take turns."""
    for (who, question), (whose, answer) in list(pairwise(said))[::2]:
        if (who, whose) != ("user", "assistant") or not question.strip() or not answer.strip():
            return
        yield Exchange(question, len(answer))


def _messages(place: str, item: Item) -> Iterator[tuple[str, str]]:
    """Role and text of each message."""
    shape = next((name for name in SHAPES if _has(item.value, name)), None)
    if shape is None:
        raise InvalidRequest(f'{place}: neither "conversations" nor "messages"')
    messages = item.value[shape]
    if not isinstance(messages, list):
        raise InvalidRequest(f"{place}: {shape}: is no list")
    who, what = SHAPES[shape]
    for number, message in enumerate(messages):
        at = f"{place}: {shape}[{number}]"
        role = message.get(who) if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES:
            raise InvalidRequest(f"{at}.{who}: {role!r} is none of {', '.join(ROLES)}")
        yield ROLES[role], _text(f"{at}.{what}", message.get(what))


def _has(value: Any, name: str) -> bool:
    return isinstance(value, dict) and name in value


def _text(place: str, content: Any) -> str:
    """Of a string, or of OpenAI's list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"{place}: is no text")
    return "\n".join(str(text) for text in texts)
