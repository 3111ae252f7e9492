"""The form that a caller wants an answer in: text, any JSON object, or one that fits a schema."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from headrace.core.json_schema.cost import MOST_BYTES, MOST_LEVELS, complaint
from headrace.core.json_schema.dialect import complaint_about_form

ANY_OBJECT = {"type": "object", "additionalProperties": True}
EITHER: list[JsonValue] = [
    {"properties": {"type": {"enum": ["text", "json_object"]}, "json_schema": {"type": "null"}}},
    {
        "properties": {"type": {"const": "json_schema"}, "json_schema": {"type": "object"}},
        "required": ["json_schema"],
    },
]


def _is_bounded(schema: dict[str, Any]) -> dict[str, Any]:
    if (reason := complaint(schema)) is not None:
        raise ValueError(reason)
    return schema


def _is_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if (reason := complaint_about_form(schema)) is not None:
        raise ValueError(reason)
    return schema


class JsonSchema(BaseModel):
    """`strict` changes nothing: output is held to the schema either way."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = ""
    description: str | None = None
    schema_: Annotated[
        dict[str, Any], AfterValidator(_is_bounded), AfterValidator(_is_json_schema)
    ] = Field(
        alias="schema",
        description=f"At most {MOST_LEVELS} levels deep and {MOST_BYTES} bytes long, and quick to "
        "compile; 2020-12 unless `$schema` says otherwise.",
    )
    strict: bool | None = None


class ResponseFormat(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra={"anyOf": EITHER}
    )

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema belongs to type json_schema, and must be there with it")
        return self

    @property
    def schema_text(self) -> str | None:
        """The schema that the output has to fit; None for plain text."""
        if self.json_schema is not None:
            return json.dumps(self.json_schema.schema_)
        return json.dumps(ANY_OBJECT) if self.type == "json_object" else None
