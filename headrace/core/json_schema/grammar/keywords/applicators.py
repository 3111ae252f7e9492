"""Keywords that put schemas together."""

from __future__ import annotations

from functools import reduce
from typing import Any

from headrace.core.json_schema.grammar.document import Node
from headrace.core.json_schema.grammar.reading import Reader
from headrace.core.json_schema.grammar.shapes import ANYTHING, IMPOSSIBLE, Shape
from headrace.core.json_schema.grammar.unheld import Unheld


def ref(reader: Reader, node: Node, value: Any) -> Shape:
    return reader.read(reader.document.target(value, node))


def dynamic(reader: Reader, node: Node, value: Any) -> Shape:
    raise Unheld("dynamic references cannot be held; use $ref")


def all_of(reader: Reader, node: Node, value: Any) -> Shape:
    parts = [reader.part(node, f"allOf/{n}", part) for n, part in enumerate(value)]
    return reduce(reader.algebra.both, parts, ANYTHING)


def any_of(reader: Reader, node: Node, value: Any) -> Shape:
    parts = [reader.part(node, f"anyOf/{n}", part) for n, part in enumerate(value)]
    return reduce(reader.algebra.either, parts, IMPOSSIBLE)


def one_of(reader: Reader, node: Node, value: Any) -> Shape:
    """Each alternative without those of the others that overlap it."""
    parts = [reader.part(node, f"oneOf/{n}", part) for n, part in enumerate(value)]
    result = IMPOSSIBLE
    for place, part in enumerate(parts):
        for other in (*parts[:place], *parts[place + 1 :]):
            if not reader.algebra.is_impossible(reader.algebra.both(part, other)):
                part = reader.algebra.both(part, reader.algebra.opposite(other))
        result = reader.algebra.either(result, part)
    return result


def not_(reader: Reader, node: Node, value: Any) -> Shape:
    return reader.algebra.opposite(reader.part(node, "not", value))


def if_(reader: Reader, node: Node, value: Any) -> Shape:
    if not node.schema.keys() & {"then", "else"}:
        return ANYTHING
    condition = reader.part(node, "if", value)
    then = reader.part(node, "then", node.schema.get("then", True))
    other = reader.part(node, "else", node.schema.get("else", True))
    both = reader.algebra.both
    return reader.algebra.either(
        both(condition, then), both(reader.algebra.opposite(condition), other)
    )
