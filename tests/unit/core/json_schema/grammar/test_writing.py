"""What output may be under a schema: all that is written fits, and what cannot be held is named."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema_rs
import pytest

from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.writing import grammar_of, rules_of_grammar
from tests.grammar_matcher import GrammarMatcher, writes
from tests.random_schemas import VALUES, RandomSchemas

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
ODD_NAMES = [
    "größe",
    "nöch",
    "ÿ0",
    'a "quote"',
    "new\nline",
    "back\\slash",
    "tab\t",
    "ключ",
    "鍵",
    "😀",
]
TREE = {"type": "object", "properties": {"next": {"$ref": "#"}, "v": WHOLE}, "required": ["v"]}
KINDS = {
    "oneOf": [
        {"properties": {"kind": {"const": "x"}, "v": WHOLE}, "required": ["kind", "v"]},
        {"properties": {"kind": {"const": "y"}, "v": TEXT}, "required": ["kind", "v"]},
    ]
}
POINT = {"type": "object", "properties": {"x": WHOLE, "y": WHOLE}}

CASES: list[tuple[Any, list[Any], list[Any]]] = [
    ({"type": "number", "minimum": 0, "maximum": 1}, [0, 0.25, 1], [-0.1, 1.01, 2, 10]),
    ({"type": "number", "exclusiveMinimum": -1.5, "exclusiveMaximum": 2}, [-1.4, 1.9], [-1.5, 2]),
    (WHOLE | {"minimum": -10, "maximum": 120}, [-10, 0, 120], [-11, 121, 1000]),
    (WHOLE | {"multipleOf": 5, "minimum": 10}, [10, 25], [5, 12]),
    ({"type": "number", "multipleOf": 0.01}, [1.25, -3], [1.255]),
    (
        {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "required": ["c"]}
        | {"type": "object"},
        [{"c": 2, "a": 1}],
        [{"c": 1}, {"a": 1}],
    ),
    ({"pattern": "^[0-9]+$"}, ["42", 5, None], ["x", ""]),
    ({"enum": ["a", "abc", 5, None], "minLength": 3}, ["abc", 5, None], ["a", "abcd"]),
    (TEXT | {"format": "date", "maxLength": 10}, ["2024-02-29"], ["2023-02-29", "today"]),
    (TEXT | {"format": "email", "maxLength": 9}, ["ab@cd.efg"], ["abc@cd.efg", "ab"]),
    (TEXT | {"pattern": "^[a-z]*$", "minLength": 2, "maxLength": 3}, ["ab", "abc"], ["a", "abcd"]),
    (TEXT | {"maxLength": 2}, ["", "ab", "é\n", "😀😀"], ["abc", "😀😀😀"]),
    (
        {"allOf": [TEXT | {"pattern": "a"}, {"pattern": "b"}, {"maxLength": 3}]},
        ["ab", "bxa"],
        ["aa"],
    ),
    ({"oneOf": [WHOLE, {"type": "number", "minimum": 2}]}, [1, 2.5], [3, 1.5]),
    (KINDS, [{"kind": "x", "v": 1}, {"kind": "y", "v": "a"}], [{"kind": "x", "v": "a"}]),
    (TREE, [{"next": {"next": {"v": 3}, "v": 2}, "v": 1}], [{"next": {}, "v": 1}]),
    ({"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "null"}}}, [None], [1]),
    ({"$id": "urn:a:b", "$ref": "#/$defs/a%20b", "$defs": {"a b": WHOLE}}, [5], ["5"]),
    ({"$ref": "#/$defs/a", "maxLength": 1, "$defs": {"a": TEXT}}, ["a"], ["ab", 1]),
    (WHOLE | {"not": {"enum": [1, 2]}}, [3, 12], [1, 2]),
    ({"if": TEXT, "then": {"minLength": 2}, "else": WHOLE}, ["ab", 1], ["a", None]),
    (POINT | {"minProperties": 1}, [{"x": 1}, {"x": 1, "y": 2}], [{}]),
    (POINT | {"maxProperties": 1}, [{}, {"y": 1}], [{"x": 1, "y": 2}]),
    (POINT | {"dependentRequired": {"x": ["y"]}}, [{"y": 1}, {"x": 1, "y": 2}], [{"x": 1}]),
    (POINT | {"additionalProperties": TEXT}, [{"x": 1, "xy": "a"}], [{"x": "a"}, {"xy": 1}]),
    (
        {"type": "object", "patternProperties": {"^n_": WHOLE}, "additionalProperties": False},
        [{"n_a": 1}],
        [{"n_a": "1"}, {"a": 1}],
    ),
    ({"type": "object", "propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
    (
        {"type": "array", "prefixItems": [TEXT, WHOLE], "items": False, "minItems": 1},
        [["a"], ["a", 1]],
        [[], ["a", 1, 2], [1]],
    ),
    (
        {"type": "array", "items": WHOLE, "minItems": 1, "maxItems": 2},
        [[1], [1, 2]],
        [[], [1, 2, 3]],
    ),
    ({"const": {"a": [1, "x", None], "b": {}}}, [{"a": [1, "x", None], "b": {}}], [{"a": []}]),
    (
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "integer",
            "minimum": 1,
            "exclusiveMinimum": True,
        },
        [2],
        [1],
    ),
    (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "items": [TEXT, WHOLE],
            "additionalItems": False,
        },
        [["a", 1]],
        [["a", 1, 2], [1]],
    ),
    (TEXT | {"unknown": 1, "title": "x", "discriminator": {"propertyName": "kind"}}, ["a"], [1]),
]

REFUSED: list[tuple[Any, str]] = [
    ({"properties": {"tags": {"type": "array", "uniqueItems": True}}},
     "#/properties/tags/uniqueItems: that items differ cannot be held"),
    ({"items": TEXT | {"pattern": "^(?!a)b"}}, "#/items/pattern: lookahead"),
    (TEXT | {"pattern": "(a"}, "#/pattern: no regular expression"),
    (TEXT | {"pattern": r"\bword\b"}, "#/pattern: word boundaries"),
    (TEXT | {"pattern": r"(a)\1"}, "#/pattern: references back"),
    ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "#/properties/a/$ref: #/$defs/none: no such"),
    ({"$ref": "https://example.com/a"}, "#/$ref: https://example.com/a: no other document"),
    ({"$dynamicRef": "#a"}, "#/$dynamicRef: dynamic references"),
    ({"$ref": "#"}, "#/$ref: refers to itself without end"),
    ({"type": "object", "properties": {"n": WHOLE | {"minimum": 5, "maximum": 1}},
      "required": ["n"]}, "#/properties/n: no value fits these together: type, minimum, maximum"),
    ({"contains": TEXT}, "#/contains: what an array contains"),
    ({"allOf": [POINT], "unevaluatedProperties": False},
     "#/unevaluatedProperties: cannot be held beside allOf"),
    ({"not": {"items": TEXT}}, "#/not: the opposite of items"),
    ({"type": "object", "minProperties": 3}, "#/minProperties: more than 1 properties"),
    (TEXT | {"format": "regex"}, "#/format: regex cannot be held"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no value fits"),
    ({"type": "number", "maximum": 10**60}, "#/maximum: a bound of more than"),
    (False, "no value fits"),
    ({"type": "nothing"}, "no JSON schema: type"),
]  # fmt: skip


def fits(schema: Any, value: Any) -> bool:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    return validator.is_valid(value)


@pytest.mark.parametrize(("schema", "good", "bad"), CASES)
def test_a_schema_is_held(schema: Any, good: list[Any], bad: list[Any]) -> None:
    matcher = GrammarMatcher(rules_of_grammar(json.dumps(schema)))
    for value in (*good, *bad):
        written = matcher.matches(json.dumps(value, ensure_ascii=False))
        assert (written, fits(schema, value)) == ((value in good),) * 2, value


@pytest.mark.parametrize(("schema", "words"), REFUSED)
def test_what_cannot_be_held_is_refused_with_its_place(schema: Any, words: str) -> None:
    with pytest.raises(Unheld) as refused:
        grammar_of(json.dumps(schema))
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_key_is_written_as_the_schema_has_it(name: str) -> None:
    schema = {"type": "object", "properties": {name: WHOLE}, "required": [name]}
    schema |= {"additionalProperties": False}
    assert writes(json.dumps(schema), json.dumps({name: 5}, ensure_ascii=False))


def test_what_many_references_name_is_written_once() -> None:
    children = {f"c{n}": {"$ref": "#/$defs/node"} for n in range(40)}
    schema = {"$defs": {"node": {"properties": children}}, "$ref": "#/$defs/node"}
    assert grammar_of(json.dumps(schema)).count('"c7') <= 4


def test_no_character_of_two_printed_digits_shares_its_quotes() -> None:
    """The pipeline's library would read a digit behind it as one of its own."""
    assert '"gr" "ö" "ß" "e' in grammar_of('{"const": "größe"}').replace('\\"', "")


@pytest.mark.parametrize("seed", range(30))
def test_keywords_beside_each_other_are_held_or_refused(seed: int) -> None:
    schemas = RandomSchemas(seed)
    for schema in (schemas.schema() for _ in range(2)):
        try:
            matcher = GrammarMatcher(rules_of_grammar(json.dumps(schema)))
        except Unheld:
            continue
        for value in VALUES:
            if matcher.matches(json.dumps(value, ensure_ascii=False)):
                assert fits(schema, value), (schema, value)


@pytest.mark.parametrize("schema", [True, POINT, {"type": "array", "items": WHOLE}])
def test_blanks_and_digits_have_an_end(schema: Any) -> None:
    matcher = GrammarMatcher(rules_of_grammar(json.dumps(schema)))
    texts = {
        '{"x": 1, "y": 2}',
        '{"x":1,"y":2}',
        "[1, 2]",
        "[1,2]",
        '{ "x": 1}',
        '{"x":  1}',
        "[1\n]",
    }
    texts |= {" 1", "1 ", f"[{'1' * 30}]", f"[1.{'3' * 30}]", '{"x":\n1}', "[1,  2]"}
    written = {text for text in texts if matcher.matches(text)}
    assert written <= {'{"x": 1, "y": 2}', '{"x":1,"y":2}', "[1, 2]", "[1,2]"}
    assert written


def test_keys_that_are_merely_allowed_are_not_written() -> None:
    assert not writes(json.dumps(POINT), '{"x":1,"z":2}')
    assert writes(json.dumps(POINT | {"additionalProperties": True}), '{"x":1,"z":2}')
    assert writes('{"type":"object"}', '{"z":2}')


@pytest.mark.parametrize(
    "schema",
    [
        TEXT | {"pattern": "(a|b)*a(a|b){18}"},
        TEXT | {"pattern": "^(((a|a){1,60}){1,60})*$"},
        TEXT | {"maxLength": 100_000},
        {"allOf": [{"anyOf": [{"required": [f"{i}{j}"]} for j in range(9)]} for i in range(9)]},
        POINT | {"properties": {f"p{n}": TEXT for n in range(300)}, "minProperties": 150},
        {"const": [[[number] for number in range(3000)]]},
        {"type": "array", "prefixItems": [TEXT] * 5000},
        {"$ref": "#/$defs/0", "$defs": {f"{n}": {"$ref": f"#/$defs/{n + 1}"} for n in range(2000)}},
        WHOLE | {"multipleOf": 99_991},
    ],
)
def test_a_schema_takes_little_time_whatever_it_is(schema: Any) -> None:
    began = time.process_time()
    try:
        grammar_of(json.dumps(schema))
    except Unheld as error:
        assert any(words in str(error) for words in ("too large", "too deep"))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text", ["{not json", "[" * 100_000, '{"const": NaN}', '{"maximum": 1e999}']
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(Unheld):
        grammar_of(text)
