"""Grammars of the torch engine: what they hold, refuse and give up on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from llguidance import LLParserLimits

from batcher.torch_engine import grammar
from batcher.torch_engine.grammar import Grammar, GrammarCompiler
from headrace.core.errors import InvalidRequest
from tests.fakes import CARD

COMPILER = GrammarCompiler(CARD, CARD.vocabulary_size)
END = CARD.eos_token_ids[0]


def compile_(schema: Any) -> Grammar:
    return COMPILER.compile(json.dumps(schema))


def takes(schema: Any, text: str) -> bool:
    held = compile_(schema)
    ids = list(CARD.tokenize(text))
    return held.matcher.validate_tokens(ids) == len(ids) and held.advance(ids)


PAIR = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "ß\n": {"type": "boolean"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "text", "fits"),
    [
        (PAIR, '{"a":1,"ß\\n":true}', True),
        (PAIR, '{"a": 1, "ß\\n": false}', True),
        (PAIR, '{\n', False),
        (PAIR, '{"a" :', False),
        (PAIR, '{"b":', False),
        (PAIR, '{"a":  1', False),
        (PAIR, '  {"a":1}', False),
        ({"type": "number", "minimum": 0.5, "maximum": 2}, "2.1", False),
        ({"type": "integer", "multipleOf": 5}, "15", True),
        ({"type": "integer", "multipleOf": 5}, "12,", False),
        ({"anyOf": [{"required": ["x"]}], "type": "object"}, "{}", False),
        ({"enum": ["a", "bbb"], "minLength": 2}, '"a"', False),
        ({"pattern": "^a+$"}, '"b', False),
        ({"pattern": "^a+$"}, "12", True),
        ({"type": "string", "format": "date"}, '"2024-13', False),
        ({"$defs": {"n": {"type": "null"}}, "$ref": "#/$defs/n"}, "null", True),
        ({"type": "array", "items": {"$ref": "#"}}, "[[],[[]]]", True),
    ],
)  # fmt: skip
def test_what_fits_a_schema_is_taken_and_nothing_else(schema: Any, text: str, fits: bool) -> None:
    assert takes(schema, text) is fits


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"not": {"type": "string"}}, 'Unimplemented keys: ["not"]'),
        ({"uniqueItems": True}, "uniqueItems"),
        ({"x-guidance": {"lenient": True}, "contains": {}}, "contains"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, "oneOf constraints are not supported"),
        ({"type": "string", "format": "nobody knows it"}, "Unknown format"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "(unclosed"}, "unclosed group"),
        ({"$ref": "http://127.0.0.1:9/"}, "does not fetch"),
        ({"$ref": "file:///etc/hostname"}, "does not fetch"),
        ({"$dynamicRef": "#x"}, "dynamicRef"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "greater than maximum"),
        (False, ""),
        ([1], ""),
    ],
)
def test_what_cannot_be_held_is_refused_by_name(schema: Any, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        compile_(schema)
    assert raised.value.param == "json_schema"
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_grammar_that_takes_too_long_gives_up_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grammar, "LIMITS", LLParserLimits(step_lexer_fuel=10))
    slow = compile_({"type": "string", "pattern": "^(a|b)*a(a|b){9}$"})
    for character in '"abababab':
        slow.matcher.compute_bitmask()
        slow.advance(CARD.tokenize(character))
    assert slow.complaint is not None
    assert "lexer" in slow.complaint and "\n" not in slow.complaint


def test_a_copy_goes_on_by_itself() -> None:
    first = compile_({"enum": ["aa", "ab"]})
    first.advance(CARD.tokenize('"a'))
    second = first.copy()
    assert first.advance(CARD.tokenize('a"'))
    assert second.advance(CARD.tokenize('b"'))
    assert not second.copy().matcher.is_error()


def test_behind_its_end_only_ends_of_sequence_come() -> None:
    held = compile_({"const": 1})
    assert held.advance([*CARD.tokenize("1"), END, END])
    assert held.complaint is None


def test_an_id_that_does_not_belong_to_it_is_told() -> None:
    held = compile_({"const": 1})
    assert not held.advance(CARD.tokenize("2"))
    assert "doesn't satisfy the grammar" in str(held.complaint)


def test_a_tokenizer_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError):
        GrammarCompiler(replace(CARD, tokenizer_json="{}"), 300)
