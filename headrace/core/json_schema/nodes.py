"""The schemas that stand inside a JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions")
_DATA = ("enum", "const", "default", "examples", "required")


def nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schema itself and all within it; names of properties and plain data are none.

    Goes down by recursion.
    """
    if isinstance(schema, list):
        for item in schema:
            yield from nodes(item)
    if not isinstance(schema, Mapping):
        return
    yield schema
    for keyword, value in schema.items():
        if keyword in _OF_SCHEMAS and isinstance(value, Mapping):
            yield from nodes(list(value.values()))
        elif keyword not in _DATA:
            yield from nodes(value)
