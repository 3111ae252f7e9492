"""Keywords of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.core.json_schema.grammar.document import Node
from headrace.core.json_schema.grammar.keywords.unevaluated import unevaluated
from headrace.core.json_schema.grammar.reading import Reader
from headrace.core.json_schema.grammar.shapes import ANYTHING, Arrays, Shape
from headrace.core.json_schema.grammar.unheld import Unheld


def items(reader: Reader, node: Node, value: Any) -> Shape:
    """All that says which items an array has."""
    schema = node.schema
    first, rest, words = schema.get("prefixItems", []), schema.get("items", True), "items"
    begin = "prefixItems"
    if isinstance(rest, list):  # until draft 2019-09
        first, rest, words = rest, schema.get("additionalItems", True), "additionalItems"
        begin = "items"
    elif "items" not in schema and "unevaluatedItems" in schema:
        rest, words = (
            unevaluated(node, "unevaluatedItems", "contains"),
            "unevaluatedItems",
        )
    needs = tuple(reader.need(node, f"{begin}/{n}", part) for n, part in enumerate(first))
    return _arrays(Arrays(needs, reader.need(node, words, rest)))


def min_items(reader: Reader, node: Node, value: Any) -> Shape:
    return _arrays(Arrays(least=int(value)))


def max_items(reader: Reader, node: Node, value: Any) -> Shape:
    return _arrays(Arrays(most=int(value)))


def unique_items(reader: Reader, node: Node, value: Any) -> Shape:
    if not value:
        return ANYTHING
    if node.schema.get("maxItems", 2) > 1 and _may_be_array(node.schema):
        raise Unheld("that items differ cannot be held; lower maxItems to 1, or leave it out")
    return _arrays(Arrays(is_unique=True))


def contains(reader: Reader, node: Node, value: Any) -> Shape:
    if node.schema.get("minContains") == 0 and "maxContains" not in node.schema:
        return ANYTHING
    if not _may_be_array(node.schema):
        return ANYTHING
    raise Unheld("what an array contains cannot be held; name its items")


def _arrays(arrays: Arrays) -> Shape:
    return replace(ANYTHING, arrays=(arrays,))


def _may_be_array(schema: Mapping[str, Any]) -> bool:
    """Whether an array may fit, as far as the schema's own `type` and values show."""
    if schema.keys() & {"const", "enum"}:
        return False
    kinds = schema.get("type", "array")
    return kinds == "array" or (isinstance(kinds, list) and "array" in kinds)
