"""Keywords of objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headrace.core.json_schema.grammar import automaton
from headrace.core.json_schema.grammar.automaton import ALL, Automaton
from headrace.core.json_schema.grammar.document import Node, escaped
from headrace.core.json_schema.grammar.keywords.unevaluated import unevaluated
from headrace.core.json_schema.grammar.matching import searched
from headrace.core.json_schema.grammar.reading import Reader
from headrace.core.json_schema.grammar.shapes import (
    ANYTHING,
    NOTHING,
    Keys,
    Objects,
    Shape,
)
from headrace.core.json_schema.grammar.unheld import Unheld


def properties(reader: Reader, node: Node, value: Any) -> Shape:
    """All that says which needs the values of an object have."""
    schema = node.schema
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    rest, word = schema.get("additionalProperties", True), "additionalProperties"
    if word not in schema and "unevaluatedProperties" in schema:
        word = "unevaluatedProperties"
        rest = unevaluated(node, word)
    result = ANYTHING
    free: Automaton = ALL
    for pattern, part in patterns.items():
        keys = _keys(reader, node, pattern)
        part_need = reader.need(node, f"patternProperties/{escaped(pattern)}", part)
        others = (Keys(keys, part_need, True), Keys(automaton.inverse(keys)))
        result = reader.algebra.both(result, _objects(Objects(others=others)))
        free = reader.sets.without(free, keys)
    named = tuple(
        (name, reader.need(node, f"properties/{escaped(name)}", part))
        for name, part in properties.items()
    )
    free_keys = Keys(free, reader.need(node, word, rest), is_invited=word in schema)
    all_keys = [free_keys, Keys(automaton.inverse(free))] if patterns else [free_keys]
    closed = tuple(keys for keys in all_keys if keys.need != NOTHING)
    return reader.algebra.both(_objects(Objects(named, others=closed)), result)


def _keys(reader: Reader, node: Node, pattern: str) -> Automaton:
    try:
        return searched(pattern, reader.work)
    except Unheld as error:
        place = f"{node.place}/patternProperties"
        raise error.at(place, escaped(pattern)) from None


def required(reader: Reader, node: Node, value: Any) -> Shape:
    return _objects(Objects(required=tuple(dict.fromkeys(value))))


def min_properties(reader: Reader, node: Node, value: Any) -> Shape:
    return _objects(Objects(least=int(value)))


def max_properties(reader: Reader, node: Node, value: Any) -> Shape:
    return _objects(Objects(most=int(value)))


def property_names(reader: Reader, node: Node, value: Any) -> Shape:
    names = reader.sets.automaton(reader.part(node, "propertyNames", value).texts)
    return _objects(Objects(others=(Keys(names),)))


def dependent(reader: Reader, node: Node, value: Any) -> Shape:
    """Each key with what follows from it: other keys, or a schema."""
    result = ANYTHING
    for key, then in value.items():
        if isinstance(then, list):
            follows = _objects(Objects(required=tuple(dict.fromkeys([key, *then]))))
        else:
            follows = reader.part(node, f"dependentSchemas/{escaped(key)}", then)
            there = _objects(Objects(required=(key,)))
            follows = reader.algebra.both(follows, there)
        absent = _objects(Objects(((key, NOTHING),)))
        result = reader.algebra.both(result, reader.algebra.either(absent, follows))
    return result


def _objects(objects: Objects) -> Shape:
    return replace(ANYTHING, objects=(objects,))
