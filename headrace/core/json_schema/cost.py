"""Cost of making a grammar of a JSON schema, as far as its text shows it.

One number for all that makes grammars large. A schema within the bound may still take too long to
compile: only a trial shows that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headrace.core.json_schema.nodes import nodes
from headrace.core.json_schema.pattern_size import copies, pattern_size

MOST_BYTES = 65_536
MOST_LEVELS = 64
"""Code that reads a schema goes down by recursion."""

MOST_COST = 20_000
"""A cost of 2,000 took 1 to 3 s of CPU time to compile with a vocabulary of 49,152 tokens."""

_OPTIONAL_PAIRS = 16
"""Pairs of optional properties that cost 1: each may follow each of those before it."""

_CHARACTERS = 128
"""Characters of fixed values that cost 1."""


def complaint_about(text: str) -> str | None:
    """Why no grammar should be made of the schema in `text`; None where a trial may decide."""
    try:
        text.encode()
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return complaint(schema)


def complaint(schema: Any) -> str | None:
    """The same for a schema that was read already."""
    if _is_deep(schema):
        return f"nested deeper than {MOST_LEVELS} levels"
    size = len(json.dumps(schema))
    if size > MOST_BYTES:
        return f"{size} bytes, at most {MOST_BYTES}"
    total = cost(schema)
    if total > MOST_COST:
        return (
            f"too large once its repeats are written out: it counts as {total} states, at most"
            f" {MOST_COST}; lower the bounds of its patterns, strings and arrays, or the number of"
            f" its optional properties"
        )
    return None


def cost(schema: Any) -> int:
    """States of the grammar, roughly. Its repeats of arrays do not multiply, those of patterns do.

    An array refers to the rule of its items, a `$ref` to that of its target.
    """
    return sum(_cost(node) for node in nodes(schema))


def _cost(node: Mapping[str, Any]) -> int:
    optional = len(_mapping(node, "properties")) - len(_list(node, "required"))
    total = 1 + max(0, optional) ** 2 // _OPTIONAL_PAIRS
    total += sum(pattern_size(pattern) for pattern in _patterns(node))
    for bounds in (("minLength", "maxLength"), ("minItems", "maxItems")):
        if node.keys() & set(bounds):
            total += copies(*(node.get(bound) for bound in bounds))
    fixed = [*_list(node, "enum"), *([node["const"]] if "const" in node else [])]
    return total + len(json.dumps(fixed)) // _CHARACTERS


def _patterns(node: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node.get("pattern"), str):
        yield node["pattern"]
    yield from _mapping(node, "patternProperties")


def _mapping(node: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    value = node.get(keyword)
    return value if isinstance(value, Mapping) else {}


def _list(node: Mapping[str, Any], keyword: str) -> list[Any]:
    value = node.get(keyword)
    return value if isinstance(value, list) else []


def _is_deep(schema: Any) -> bool:
    level: list[Any] = [schema]
    for _depth in range(MOST_LEVELS + 1):
        level = [part for value in level for part in _parts(value)]
    return bool(level)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
