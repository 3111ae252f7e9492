"""Which answers fit a schema, and what is said of those that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.core.json_schema.validation import AnswerValidator

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
ANY_OBJECT = {"type": "object", "additionalProperties": True}


def complaint(schema: Any, text: str) -> str | None:
    return AnswerValidator(json.dumps(schema)).complaint(text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (PERSON, '{"name": "Ada", "age": 36}'),
        (PERSON, ' {"name": "gr\\u00f6\\u00dfe"}\n'),
        (ANY_OBJECT, "{}"),
        ({"multipleOf": 0.01}, "1.13"),
        ({"type": "number"}, "1e3"),
        ({"type": "array"}, "[" * 200 + "]" * 200),
        ({"format": "nobody knows it"}, '"x"'),
        (True, "null"),
    ],
)
def test_an_answer_that_fits(schema: Any, text: str) -> None:
    assert complaint(schema, text) is None


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        (PERSON, '{"name": "Ada", "age": -1}', "it does not fit properties.age.minimum"),
        (PERSON, '{"age": 1}', "it does not fit required"),
        (PERSON, '{"name": "x", "name2": 1}', "it does not fit additionalProperties"),
        (PERSON, '{"name": "Ad', "it is no JSON"),
        (PERSON, "", "it is no JSON"),
        (PERSON, 'Sure! {"name": "Ada"}', "it is no JSON"),
        (PERSON, '{"name": "Ada"} {"name": "Bob"}', "it is no JSON"),
        (ANY_OBJECT, "[]", "it does not fit type"),
        (ANY_OBJECT, "NaN", "it is no JSON"),
        (False, "1", "it does not fit false"),
        ({"type": "string"}, '"\\ud83d"', "it has half a surrogate pair"),
        ({"type": "array"}, "[" * 5000 + "]" * 5000, "it is nested too deeply"),
        ({"type": "integer"}, "1" * 5000, "it is no JSON"),
        ({"type": "string", "format": "date"}, '"2024-02-31"', "it does not fit format"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "id": "x", "type": "null"}, "1",
         "it does not fit type"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit(schema: Any, text: str, expected: str) -> None:
    assert complaint(schema, text) == expected


def test_a_complaint_quotes_nothing_of_the_answer() -> None:
    assert "secret" not in str(complaint(PERSON, '{"name": "x", "secret": "secret"}'))


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/x", "file:///etc/hostname", "#/nowhere"])
def test_a_reference_to_elsewhere_is_not_followed(reference: str) -> None:
    with pytest.raises(ValueError, match="no validator"):
        AnswerValidator(json.dumps({"$ref": reference}))


@pytest.mark.parametrize(
    "schema", ['{"pattern": "(unclosed"}', '{"type": "nonsense"}', "{not json"]
)
def test_a_schema_without_a_validator_is_refused(schema: str) -> None:
    with pytest.raises(ValueError):
        AnswerValidator(schema)
