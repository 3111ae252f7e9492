"""Keywords of values of any kind, of numbers and of strings."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from headrace.core.json_schema.grammar import automaton, decimals
from headrace.core.json_schema.grammar.automaton import ALL, NONE
from headrace.core.json_schema.grammar.document import Node
from headrace.core.json_schema.grammar.formats import FORMATS, UNHELD_FORMATS
from headrace.core.json_schema.grammar.matching import searched, whole
from headrace.core.json_schema.grammar.reading import Reader, scalar_text
from headrace.core.json_schema.grammar.shapes import (
    ANYTHING,
    NOTHING,
    Arrays,
    Need,
    Objects,
    Shape,
)
from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.values import ALL_NUMBERS, Values


def type_(reader: Reader, node: Node, value: Any) -> Shape:
    kinds = [value] if isinstance(value, str) else value
    number: Values = NONE
    if "number" in kinds:
        number = ALL_NUMBERS
    elif "integer" in kinds:
        number = reader.integers
    plain = {"null": ["null"], "boolean": ["true", "false"]}
    return Shape(
        frozenset(word for kind in kinds for word in plain.get(kind, [])),
        number,
        ALL if "string" in kinds else NONE,
        (Arrays(),) if "array" in kinds else (),
        (Objects(),) if "object" in kinds else (),
    )


def enum(reader: Reader, node: Node, value: Any) -> Shape:
    reader.work.spend(len(value))
    plain = {scalar_text(v) for v in value if v is None or isinstance(v, bool)}
    numbers = frozenset(Decimal(decimals.text_of(v)) for v in value if _is_number(v))
    return Shape(
        frozenset(plain),
        numbers,
        frozenset(v for v in value if isinstance(v, str)),
        tuple(_one_array(reader, v) for v in value if isinstance(v, list)),
        tuple(_one_object(reader, v) for v in value if isinstance(v, dict)),
    )


def const(reader: Reader, node: Node, value: Any) -> Shape:
    return enum(reader, node, [value])


def _one_array(reader: Reader, value: list[Any]) -> Arrays:
    count = len(value)
    return Arrays(tuple(_value(reader, item) for item in value), NOTHING, count, count)


def _one_object(reader: Reader, value: dict[str, Any]) -> Objects:
    named = tuple((key, _value(reader, part)) for key, part in value.items())
    return Objects(named, tuple(value), ())


def _value(reader: Reader, value: Any) -> Need:
    return frozenset({(reader.document.value(value), False)})


def minimum(reader: Reader, node: Node, value: Any) -> Shape:
    is_strict = node.schema.get("exclusiveMinimum") is True  # draft 4
    return _numbers(decimals.at_least(_decimal(value), is_strict, reader.work))


def maximum(reader: Reader, node: Node, value: Any) -> Shape:
    is_strict = node.schema.get("exclusiveMaximum") is True
    return _numbers(decimals.at_most(_decimal(value), is_strict, reader.work))


def exclusive_minimum(reader: Reader, node: Node, value: Any) -> Shape:
    if isinstance(value, bool):
        return ANYTHING
    return _numbers(decimals.at_least(_decimal(value), True, reader.work))


def exclusive_maximum(reader: Reader, node: Node, value: Any) -> Shape:
    if isinstance(value, bool):
        return ANYTHING
    return _numbers(decimals.at_most(_decimal(value), True, reader.work))


def multiple_of(reader: Reader, node: Node, value: Any) -> Shape:
    return _numbers(decimals.multiples(_decimal(value), reader.work))


def min_length(reader: Reader, node: Node, value: Any) -> Shape:
    return _texts(automaton.of_lengths(int(value), None, reader.work))


def max_length(reader: Reader, node: Node, value: Any) -> Shape:
    return _texts(automaton.of_lengths(0, int(value), reader.work))


def pattern(reader: Reader, node: Node, value: Any) -> Shape:
    return _texts(searched(value, reader.work))


def format_(reader: Reader, node: Node, value: Any) -> Shape:
    if value in UNHELD_FORMATS:
        raise Unheld(f"{value} cannot be held")
    return _texts(whole(FORMATS[value], reader.work)) if value in FORMATS else ANYTHING


def _numbers(values: Values) -> Shape:
    return replace(ANYTHING, numbers=values)


def _texts(values: Values) -> Shape:
    return replace(ANYTHING, texts=values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decimal(value: float) -> Decimal:
    return Decimal(decimals.text_of(value))
