"""`chat_template_kwargs`: variables that a caller hands to the model's chat template."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

NEUTRAL: dict[str, list[Any]] = {
    "messages": [None],
    "tools": [None, []],
    "add_generation_prompt": [None, True],
    "continue_final_message": [None, False],
    "chat_template": [None],
    "tokenize": [None],
}
"""Names that no caller can set, with the values that change nothing."""

_DOCUMENTS = {"anyOf": [{"type": "array", "items": {"type": "object"}}, {"type": "null"}]}
_SCHEMA = {
    "type": "object",
    "properties": {name: {"enum": values} for name, values in NEUTRAL.items()}
    | {"documents": _DOCUMENTS},
}


def _as_variables(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("give a JSON object")
    for name, neutral in NEUTRAL.items():
        if not any(_is_same(value.get(name), each) for each in neutral):
            raise ValueError(f"{name} cannot be set here")
    _require_documents(value.get("documents"))
    return {name: variable for name, variable in value.items() if name not in NEUTRAL}


def _is_same(value: Any, neutral: Any) -> bool:
    """Python takes 1 for True."""
    return type(value) is type(neutral) and bool(value == neutral)


def _require_documents(documents: Any) -> None:
    is_list = isinstance(documents, list) and all(isinstance(each, dict) for each in documents)
    if documents is not None and not is_list:
        raise ValueError("documents has to be a list of objects")


TemplateKwargs = Annotated[dict[str, Any], BeforeValidator(_as_variables), WithJsonSchema(_SCHEMA)]
