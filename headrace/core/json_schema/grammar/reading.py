"""From the schemas of a document to shapes. What no rule reads is an annotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from headrace.core.json_schema.grammar import decimals
from headrace.core.json_schema.grammar.document import Document, Node
from headrace.core.json_schema.grammar.shapes import (
    ANYTHING,
    EVERYTHING,
    IMPOSSIBLE,
    NOTHING,
    Algebra,
    Need,
    Shape,
)
from headrace.core.json_schema.grammar.unheld import Unheld, Work
from headrace.core.json_schema.grammar.values import Sets


class Reader:
    """Reads each schema of a document once, by `rules`. Raises `Unheld` with place and keyword."""

    def __init__(self, document: Document, rules: Rules, work: Work) -> None:
        self._rules = rules
        self.sets = Sets(work)
        self.contradiction: Node | None = None
        self.document = document
        self.work = work
        self.algebra = Algebra(self.sets, self._clashes)
        self._shapes: dict[int, Shape] = {}
        self._open: set[int] = set()
        self.integers = decimals.integers(work)

    def shape(self, need: Need) -> Shape:
        """The values that meet a need."""
        if need == NOTHING:
            return IMPOSSIBLE
        return reduce(self.algebra.both, (self._term(*term) for term in sorted(need)), ANYTHING)

    def _term(self, number: int, is_negated: bool) -> Shape:
        shape = self.read(number)
        if not is_negated:
            return shape
        node = self.document[number]
        try:
            return self.algebra.opposite(shape)
        except Unheld as error:
            raise error.at(node.place, "not") from None

    def _clashes(self, need: Need) -> bool:
        """Whether the values that schemas list have nothing in common, or none can be."""
        if need == NOTHING:
            return True
        lists = [listed for term in need if (listed := self._listed(*term)) is not None]
        return len(lists) > 1 and not frozenset.intersection(*lists)

    def _listed(self, number: int, is_negated: bool) -> frozenset[str] | None:
        schema = self.document[number].schema
        if is_negated or not isinstance(schema, Mapping):
            return None
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if not isinstance(values, list) or any(isinstance(v, list | dict) for v in values):
            return None
        return frozenset(scalar_text(value) for value in values)

    def read(self, number: int) -> Shape:
        if number in self._shapes:
            return self._shapes[number]
        if number in self._open:
            raise Unheld("refers to itself without end", self.document[number].place, "$ref")
        self._open.add(number)
        self.work.spend(1)
        node = self.document[number]
        shape = self._shape_of(node)
        if self.contradiction is None and node.schema is not False:
            self.contradiction = node if self.algebra.is_impossible(shape) else None
        self._open.discard(number)
        self._shapes[number] = shape
        return shape

    def _shape_of(self, node: Node) -> Shape:
        if not isinstance(node.schema, Mapping):
            return ANYTHING if node.schema else IMPOSSIBLE
        shape = ANYTHING
        for keywords, rule in self._rules:
            keyword = next((word for word in keywords if word in node.schema), None)
            if keyword is None or (self._is_reference(node) and keyword != "$ref"):
                continue
            try:
                shape = self.algebra.both(shape, rule(self, node, node.schema[keyword]))
            except Unheld as error:
                raise error.at(node.place, keyword) from None
        return shape

    def _is_reference(self, node: Node) -> bool:
        """Until draft 7 nothing beside a `$ref` counts."""
        return self.document.draft <= 7 and "$ref" in node.schema

    def need(self, node: Node, part: str, schema: Any) -> Need:
        """The need of a schema that stands at `part` of the node."""
        if schema is True or schema == {}:
            return EVERYTHING
        if schema is False:
            return NOTHING
        place = f"{node.place}/{part}"
        return frozenset({(self.document.number(schema, place, node.base), False)})

    def part(self, node: Node, part: str, schema: Any) -> Shape:
        return self.shape(self.need(node, part, schema))


def scalar_text(value: Any) -> str:
    """A scalar, as JSON has it; 1.0 is 1."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else decimals.text_of(value)


Rules = tuple[tuple[tuple[str, ...], Callable[[Reader, Node, Any], Shape]], ...]
"""Keywords that are read together, and the shape that they ask for."""
