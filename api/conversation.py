"""Messages as chat templates read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.messages import Message

Turn = dict[str, Any]


def conversation(messages: Sequence[Message], template: str | None) -> list[Turn]:
    """Returns what the template is rendered with.

    A template that knows no tools would drop calls without a word: there they are JSON in the
    assistant's content, and their results are the user's.
    """
    turns = [_turn(message) for message in messages]
    knows_tools = template is None or "tool" in template
    return turns if knows_tools else [_without_tools(turn) for turn in turns]


def _turn(message: Message) -> Turn:
    """The fields that are there. Calls of the older API become those of the newer one."""
    turn = message.model_dump(exclude_none=True, exclude={"refusal", "function_call"})
    turn["content"] = message.content or message.refusal or ""
    if calls := [*_calls(message)]:
        turn["tool_calls"] = calls
    if message.role == "function":
        turn["role"] = "tool"
    return turn


def _calls(message: Message) -> Iterator[Mapping[str, Any]]:
    for call in message.tool_calls or ():
        yield {"type": "function"} | call | {"function": _function(call["function"])}
    if message.function_call is not None:
        yield {"type": "function", "function": _function(message.function_call)}


def _function(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """Templates take the arguments apart; what is no JSON object stays a text."""
    arguments = function.get("arguments") or "{}"
    try:
        parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        parsed = arguments
    return {"name": function["name"], "arguments": parsed}


def _without_tools(turn: Turn) -> Turn:
    if turn["role"] == "tool":
        return {"role": "user", "content": turn["content"]}
    calls = [call["function"] for call in turn.pop("tool_calls", ())]
    if calls:
        texts = [turn["content"], json.dumps({"tool_calls": calls}, ensure_ascii=False)]
        turn["content"] = "\n".join(filter(None, texts))
    return turn
