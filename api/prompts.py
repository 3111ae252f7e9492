"""The prompts of a completion: one or several, each a text or token ids."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

Prompt = str | list[int]


def _as_prompts(value: Any) -> list[Any]:
    """One prompt becomes a list of one."""
    prompts = value if isinstance(value, list) and not _is_prompt(value) else [value]
    if not prompts or not all(map(_is_prompt, prompts)):
        raise ValueError("give a text, a list of token ids, or a list of such; none may be empty")
    return prompts


def _is_prompt(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and _is_unicode(value)
    is_list = isinstance(value, list) and bool(value)
    return is_list and all(type(token_id) is int and token_id >= 0 for token_id in value)


def _is_unicode(text: str) -> bool:
    """False for a text with half a surrogate pair, which JSON can say and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_Sent = (
    Annotated[str, Field(min_length=1)]
    | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
)
Prompts = Annotated[
    list[Prompt],
    BeforeValidator(
        _as_prompts, json_schema_input_type=_Sent | Annotated[list[_Sent], Field(min_length=1)]
    ),
]
