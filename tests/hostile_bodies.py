"""Requests that cost their reader much: bodies whose size or shape varies with the dice."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.chaos import hostile

CHAT, TEXT, JOBS = hostile.CHAT, hostile.TEXT, hostile.JOBS
HI = [{"role": "user", "content": "Hi"}]

REPEATED = {
    "one letter": "a",
    "spaces": " ",
    "line ends": "\n",
    "digits": "1234567890",
    "combining marks": "e" + "\u0301" * 50,
    "joined emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "punctuation": "!?",
    "alternating case": "aA",
    "control tokens": "<|im_start|>",
    "words": "the quick brown fox ",
    "Chinese": "\u4e2d\u6587",
}
"""Texts that tokenisers find hard, over and over."""

Dice = random.Random


def requests(dice: Dice) -> Iterator[tuple[str, str, bytes]]:
    """Yields name, route and body of each request, in an order that the dice decide."""
    found = [(f"hostile {number}", *each) for number, each in enumerate(hostile.requests())]
    found += [(name, route, json.dumps(make(dice)).encode()) for name, route, make in MADE]
    dice.shuffle(found)
    yield from found


def _text(name: str, most: int) -> Callable[[Dice], Any]:
    def make(dice: Dice) -> Any:
        one = REPEATED[name]
        size = dice.choice((most, most // 2, most // 20))
        return {"prompt": one * (size // len(json.dumps(one))), "max_tokens": 1}

    return make


def _schema(make_schema: Callable[[Dice], Any]) -> Callable[[Dice], Any]:
    def make(dice: Dice) -> Any:
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": make_schema(dice)}}
        return {"prompt": "Hi", "max_tokens": 4, "response_format": form}

    return make


def _repeats(dice: Dice) -> Any:
    text = "[a-y]"
    for _level in range(dice.randint(2, 5)):
        text = f"({text}{{1,{dice.choice((9, 40, 200))}}})"
    return {"type": "string", "pattern": f"^{text}$"}


def _objects(dice: Dice) -> Any:
    text = {"type": "string", "maxLength": dice.choice((900, 9_000))}
    items = {"type": "object", "properties": {"a": text, "b": text}}
    return {"type": "array", "items": items, "maxItems": dice.choice((100, 10_000))}


def _optional(dice: Dice) -> Any:
    properties = {f"p{number}": {"type": "string"} for number in range(dice.choice((30, 300)))}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _deep(dice: Dice) -> Any:
    schema: Any = {"type": "string"}
    for _level in range(dice.choice((10, 60, 200))):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def _chat(**fields: Any) -> Callable[[Dice], Any]:
    return lambda dice: {"messages": HI, "max_tokens": 4} | fields


def _conversation(dice: Dice) -> Any:
    message = {"role": "user", "content": "x"}
    return {"messages": [message] * dice.choice((500, 4_000, 40_000)), "max_tokens": 1}


MADE: list[tuple[str, str, Callable[[Dice], Any]]] = [
    *((f"a megabyte of {name}", JOBS, _text(name, 1_000_000)) for name in REPEATED),
    ("repeats in repeats", JOBS, _schema(_repeats)),
    ("long text", JOBS, _schema(lambda dice: {"type": "string", "maxLength": 100_000})),
    ("arrays of objects", JOBS, _schema(_objects)),
    ("optional properties", JOBS, _schema(_optional)),
    ("deep schema", JOBS, _schema(_deep)),
    ("long stops", CHAT, _chat(stop=["x" * 1_024, "\u0301" * 1_024, " " * 1_024, "aab" * 341])),
    ("too long stops", CHAT, _chat(stop=["x" * 100_000] * 4)),
    ("many choices", CHAT, _chat(n=16)),
    ("logprobs of all choices", CHAT, _chat(n=16, logprobs=True, top_logprobs=20)),
    (
        "too many logprobs",
        CHAT,
        _chat(n=16, logprobs=True, top_logprobs=20, max_tokens=1_500),
    ),
    ("biases", CHAT, _chat(logit_bias={str(number): -1 for number in range(1_024)})),
    ("too many biases", CHAT, _chat(logit_bias={f"x{number}": "y" for number in range(100_000)})),
    ("unknown fields", CHAT, _chat(**{f"field{number}": 1 for number in range(50_000)})),
    ("a field with a long name", CHAT, _chat(**{"x" * 500_000: 1})),
    ("wrong messages", CHAT, lambda dice: {"messages": list(range(100_000))}),
    ("conversation", CHAT, _conversation),
    ("wrong ids", TEXT, lambda dice: {"prompt": [-1] * 300_000}),
    ("many prompts", TEXT, lambda dice: {"prompt": [[1]] * 100_000}),
    ("template arguments", CHAT, _chat(chat_template_kwargs={f"x{n}": n for n in range(50_000)})),
]
