"""What holds for items and properties that nothing beside has evaluated."""

from __future__ import annotations

from typing import Any

from headrace.core.json_schema.grammar.document import Node
from headrace.core.json_schema.grammar.unheld import Unheld

_APPLIED = (
    *("$ref", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas", "dependencies"),
    *("$dynamicRef", "$recursiveRef"),
)
"""Keywords that may evaluate what stands beside them."""


def unevaluated(node: Node, keyword: str, *more: str) -> Any:
    value = node.schema[keyword]
    beside = [other for other in (*_APPLIED, *more) if other in node.schema]
    if value is not True and beside:
        raise Unheld(f"cannot be held beside {beside[0]}", node.place, keyword)
    return value
