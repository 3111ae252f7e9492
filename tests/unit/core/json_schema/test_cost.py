"""Which schemas are refused without a trial."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.core.json_schema.cost import MOST_BYTES, MOST_LEVELS, complaint, complaint_about, cost

TEXT = {"type": "string"}


def an_object(optional: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{n}": TEXT for n in range(optional)}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _level in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        True,
        an_object(100),
        {"type": "array", "maxItems": 1000, "items": an_object(20)},
        TEXT | {"maxLength": 100_000},
        TEXT | {"pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        {"enum": [f"value {number}" for number in range(3000)]},
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
        {"maxLength": None, "pattern": 5, "required": {}, "properties": [1], "enum": "x"},
        nested(MOST_LEVELS - 1),
    ],
)
def test_ordinary_schemas_are_left_to_a_trial(schema: Any) -> None:
    assert complaint(schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (TEXT | {"pattern": "^(((([a-y]{1,40}){1,40}){1,40}){1,40})$"}, "repeats are written out"),
        ({"patternProperties": {"(a{200}){200}": TEXT}}, "repeats are written out"),
        ({"items": {"not": TEXT | {"pattern": "((a{99}){99}){99}"}}}, "repeats are written out"),
        (an_object(600), "repeats are written out"),
        ({"anyOf": [TEXT | {"maxLength": 1000 + n} for n in range(90)]}, "repeats are written out"),
        ({"enum": ["x" * MOST_BYTES]}, f"at most {MOST_BYTES}"),
        (nested(MOST_LEVELS + 1), f"nested deeper than {MOST_LEVELS} levels"),
    ],
)
def test_schemas_beyond_the_bounds_are_refused(schema: Any, words: str) -> None:
    assert words in str(complaint(schema))
    assert words in str(complaint_about(json.dumps(schema)))


@pytest.mark.parametrize("text", ["{not json", '"\ud83d"', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    assert str(complaint_about(text)).startswith("not JSON")


def test_a_property_may_be_called_like_a_keyword() -> None:
    assert cost({"properties": {"maxLength": TEXT}, "required": ["maxLength"]}) == 2
