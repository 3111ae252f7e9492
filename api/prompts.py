"""Prompts as callers send them: one or several, each a text or token ids."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from headrace.core.errors import InvalidRequest

MAX_PROMPTS = 64
"""Most prompts of one request."""

ONE = "give a text or a list of token ids; it may not be empty"
SEVERAL = "give a text, a list of token ids, or a list of such; none may be empty"


def _or(message: str) -> WrapValidator:
    """Refuses with this message: those of pydantic name a type, or the place of one id."""

    def validate(value: Any, validate_prompts: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate_prompts(value)
        except ValidationError:
            raise ValueError(message) from None

    return WrapValidator(validate)


def _as_prompts(value: Any) -> Any:
    """One prompt becomes a list of one."""
    is_list = isinstance(value, list) and bool(value) and isinstance(value[0], str | list)
    if is_list and len(value) > MAX_PROMPTS:
        raise InvalidRequest(f"prompt: {len(value)} prompts, at most {MAX_PROMPTS}", "prompt")
    return value if is_list else [value]


_Prompt = (
    Annotated[str, Field(min_length=1)]
    | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, fail_fast=True)]
)
_Prompts = Annotated[list[_Prompt], Field(min_length=1)]

Prompt = Annotated[_Prompt, _or(ONE)]
Prompts = Annotated[
    _Prompts,
    BeforeValidator(_as_prompts, json_schema_input_type=_Prompt | _Prompts),
    _or(SEVERAL),
]
