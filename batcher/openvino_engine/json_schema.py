"""Keywords of JSON schemas that the pipeline's grammar would pass over in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headrace.core.json_schema.nodes import nodes

SEVERAL = "allOf of several"

NOT_HELD = {
    SEVERAL,
    *("not", "if", "then", "else", "multipleOf", "uniqueItems"),
    *("contains", "minContains", "maxContains", "unevaluatedItems"),
    *("dependencies", "dependentRequired", "dependentSchemas"),
}
"""Keywords that the grammar passes over: output would break them."""


def unheld(schema: str) -> str | None:
    """Why output cannot be held to a schema, as far as its keywords say; None where it may."""
    try:
        found = set(_keywords(json.loads(schema))) & NOT_HELD
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return f"this engine cannot hold output to {', '.join(sorted(found))}" if found else None


def _keywords(schema: Any) -> Iterator[str]:
    for node in nodes(schema):
        for keyword, value in node.items():
            is_several = keyword == "allOf" and isinstance(value, list) and len(value) > 1
            yield SEVERAL if is_several else keyword
