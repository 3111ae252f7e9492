"""Messages of a conversation as callers send them, histories with tool turns included."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from typing_extensions import TypedDict

HINTS = frozenset({"annotations", "cache_control", "provider_specific_fields", "id"})
"""Fields of messages that change no prompt: clients send an answer back as they got it."""

NEUTRAL: dict[str, Any] = {"tool_calls": [], "prefix": False}
"""Fields that a message may have where their value changes nothing; null changes nothing."""

MAY_BE_EMPTY = frozenset({"assistant", "function"})
"""Roles whose messages need no content."""

_FOREIGN: dict[str, JsonSchemaValue] = {name: {} for name in sorted(HINTS)} | {
    "prefix": {"enum": [False, None]}
}
_HAS_CONTENT: list[Any] = [
    {"properties": {"role": {"enum": sorted(MAY_BE_EMPTY)}}, "required": ["role"]},
    {"properties": {"content": {"not": {"type": "null"}}}, "required": ["content"]},
]


def _describe(schema: JsonSchemaValue) -> None:
    """Describes messages as they are read: null leaves a field out, and hints are taken."""
    schema["properties"] |= _FOREIGN
    schema["additionalProperties"] = {"type": "null"}
    schema["anyOf"] = _HAS_CONTENT


def _without_neutral(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: field
        for name, field in value.items()
        if field is not None
        and name not in HINTS
        and not (name in NEUTRAL and type(field) is type(NEUTRAL[name]) and not field)
    }


def _as_text(content: Any) -> Any:
    """Text parts, as the official client may send them, become one text."""
    return "".join(map(_text_of, content)) if isinstance(content, list) else content


def _text_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in ("text", "refusal"):
        raise ValueError(f"only text parts are supported; this one is {str(kind)[:40]!r}")
    if not isinstance(part.get(kind), str):
        raise ValueError(f"the {kind} of a part must be a string")
    return str(part[kind])


def _has_content(content: str | None, info: ValidationInfo) -> str | None:
    role = info.data.get("role")
    if content is None and role is not None and role not in MAY_BE_EMPTY:
        raise ValueError(f"a message of role {role} needs a content")
    return content


def _as_known_role(role: str) -> str:
    """Returns the role as chat templates call it; OpenAI calls `system` developer by now."""
    return "system" if role == "developer" else role


class TextPart(TypedDict):
    """A part with text; its other fields are ignored."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    type: Literal["text"]
    text: str


class RefusalPart(TypedDict):
    """A part with what a model said instead of an answer."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    type: Literal["refusal"]
    refusal: str


class Function(TypedDict):
    """`arguments` are JSON, as text or as an object."""

    __pydantic_config__ = ConfigDict(extra="ignore", strict=True)  # type: ignore[misc]

    name: str
    arguments: NotRequired[str | dict[str, Any] | None]


class ToolCall(TypedDict):
    """A call that the assistant made earlier; what else stands in it is ignored."""

    __pydantic_config__ = ConfigDict(extra="ignore", strict=True)  # type: ignore[misc]

    id: NotRequired[str | None]
    type: NotRequired[Literal["function"] | None]
    function: Function


class Message(BaseModel):
    """`name`, `reasoning_content` and `reasoning` are for chat templates that know them."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_describe)

    role: Annotated[
        Literal["system", "developer", "user", "assistant", "tool", "function"],
        AfterValidator(_as_known_role),
    ]
    content: Annotated[
        str | None,
        BeforeValidator(_as_text, json_schema_input_type=str | list[TextPart | RefusalPart] | None),
        AfterValidator(_has_content),
    ] = Field(None, validate_default=True)
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: Function | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


MAX_MESSAGES = 4096


def _few(value: Any) -> Any:
    if isinstance(value, list) and len(value) > MAX_MESSAGES:
        raise ValueError(f"{len(value)} messages, at most {MAX_MESSAGES}")
    return value


Messages = Annotated[
    list[Annotated[Message, BeforeValidator(_without_neutral)]],
    Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True),
    BeforeValidator(_few),
]
"""Reading thousands of messages, or listing what is wrong with each, would hold up others."""
