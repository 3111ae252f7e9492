"""From the keywords of JSON schemas to shapes. What is not read here is an annotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from typing import Any

from headrace.core.json_schema import automaton, decimals
from headrace.core.json_schema.automaton import ALL, NONE, Automaton
from headrace.core.json_schema.document import Document, Node, escaped
from headrace.core.json_schema.formats import FORMATS, UNHELD_FORMATS
from headrace.core.json_schema.matching import searched, whole
from headrace.core.json_schema.shapes import (
    ANYTHING,
    EVERYTHING,
    IMPOSSIBLE,
    NOTHING,
    Algebra,
    Arrays,
    Keys,
    Need,
    Objects,
    Shape,
)
from headrace.core.json_schema.unheld import Unheld, Work
from headrace.core.json_schema.values import ALL_NUMBERS, Sets, Values

_APPLIED = (
    *("$ref", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas", "dependencies"),
    *("$dynamicRef", "$recursiveRef"),
)
"""Keywords that may evaluate what stands beside them."""


class Reader:
    """Reads each schema of a document once. Raises `Unheld` with place and keyword."""

    def __init__(self, document: Document, work: Work) -> None:
        self.sets = Sets(work)
        self.contradiction: Node | None = None
        self._document = document
        self._work = work
        self._algebra = Algebra(self.sets, self._clashes)
        self._shapes: dict[int, Shape] = {}
        self._open: set[int] = set()
        self._integers = decimals.integers(work)

    def shape(self, need: Need) -> Shape:
        """The values that meet a need."""
        if need == NOTHING:
            return IMPOSSIBLE
        return reduce(self._algebra.both, (self._term(*term) for term in sorted(need)), ANYTHING)

    def _term(self, number: int, is_negated: bool) -> Shape:
        shape = self._read(number)
        if not is_negated:
            return shape
        node = self._document[number]
        try:
            return self._algebra.opposite(shape)
        except Unheld as error:
            raise error.at(node.place, "not") from None

    def _clashes(self, need: Need) -> bool:
        """Whether the values that schemas list have nothing in common, or none can be."""
        if need == NOTHING:
            return True
        lists = [listed for term in need if (listed := self._listed(*term)) is not None]
        return len(lists) > 1 and not frozenset.intersection(*lists)

    def _listed(self, number: int, is_negated: bool) -> frozenset[str] | None:
        schema = self._document[number].schema
        if is_negated or not isinstance(schema, Mapping):
            return None
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if not isinstance(values, list) or any(isinstance(v, list | dict) for v in values):
            return None
        return frozenset(_spelling(value) for value in values)

    # -- one schema ------------------------------------------------------------------------------

    def _read(self, number: int) -> Shape:
        if number in self._shapes:
            return self._shapes[number]
        if number in self._open:
            raise Unheld("refers to itself without end", self._document[number].place, "$ref")
        self._open.add(number)
        self._work.spend(1)
        node = self._document[number]
        shape = self._shape_of(node)
        if self.contradiction is None and node.schema is not False:
            self.contradiction = node if self._algebra.is_impossible(shape) else None
        self._open.discard(number)
        self._shapes[number] = shape
        return shape

    def _shape_of(self, node: Node) -> Shape:
        if not isinstance(node.schema, Mapping):
            return ANYTHING if node.schema else IMPOSSIBLE
        shape = ANYTHING
        for keywords, rule in RULES:
            keyword = next((word for word in keywords if word in node.schema), None)
            if keyword is None or (self._is_reference(node) and keyword != "$ref"):
                continue
            try:
                shape = self._algebra.both(shape, rule(self, node, node.schema[keyword]))
            except Unheld as error:
                raise error.at(node.place, keyword) from None
        return shape

    def _is_reference(self, node: Node) -> bool:
        """Until draft 7 nothing beside a `$ref` counts."""
        return self._document.draft <= 7 and "$ref" in node.schema

    def _need(self, node: Node, part: str, schema: Any) -> Need:
        """The need of a schema that stands at `part` of the node."""
        if schema is True or schema == {}:
            return EVERYTHING
        if schema is False:
            return NOTHING
        place = f"{node.place}/{part}"
        return frozenset({(self._document.number(schema, place, node.base), False)})

    def _part(self, node: Node, part: str, schema: Any) -> Shape:
        return self.shape(self._need(node, part, schema))

    def _value(self, value: Any) -> Need:
        return frozenset({(self._document.value(value), False)})

    # -- values of any kind ----------------------------------------------------------------------

    def _type(self, node: Node, value: Any) -> Shape:
        kinds = [value] if isinstance(value, str) else value
        number: Values = NONE
        if "number" in kinds:
            number = ALL_NUMBERS
        elif "integer" in kinds:
            number = self._integers
        plain = {"null": ["null"], "boolean": ["true", "false"]}
        return Shape(
            frozenset(word for kind in kinds for word in plain.get(kind, [])),
            number,
            ALL if "string" in kinds else NONE,
            (Arrays(),) if "array" in kinds else (),
            (Objects(),) if "object" in kinds else (),
        )

    def _enum(self, node: Node, value: Any) -> Shape:
        self._work.spend(len(value))
        plain = {_spelling(v) for v in value if v is None or isinstance(v, bool)}
        numbers = frozenset(Decimal(decimals.text_of(v)) for v in value if _is_number(v))
        return Shape(
            frozenset(plain),
            numbers,
            frozenset(v for v in value if isinstance(v, str)),
            tuple(self._one_array(v) for v in value if isinstance(v, list)),
            tuple(self._one_object(v) for v in value if isinstance(v, dict)),
        )

    def _const(self, node: Node, value: Any) -> Shape:
        return self._enum(node, [value])

    def _one_array(self, value: list[Any]) -> Arrays:
        count = len(value)
        return Arrays(tuple(map(self._value, value)), NOTHING, count, count)

    def _one_object(self, value: dict[str, Any]) -> Objects:
        named = tuple((key, self._value(part)) for key, part in value.items())
        return Objects(named, tuple(value), ())

    # -- numbers and strings ---------------------------------------------------------------------

    def _minimum(self, node: Node, value: Any) -> Shape:
        is_strict = node.schema.get("exclusiveMinimum") is True  # draft 4
        return _numbers(decimals.at_least(_decimal(value), is_strict, self._work))

    def _maximum(self, node: Node, value: Any) -> Shape:
        is_strict = node.schema.get("exclusiveMaximum") is True
        return _numbers(decimals.at_most(_decimal(value), is_strict, self._work))

    def _above(self, node: Node, value: Any) -> Shape:
        if isinstance(value, bool):
            return ANYTHING
        return _numbers(decimals.at_least(_decimal(value), True, self._work))

    def _below(self, node: Node, value: Any) -> Shape:
        if isinstance(value, bool):
            return ANYTHING
        return _numbers(decimals.at_most(_decimal(value), True, self._work))

    def _multiple_of(self, node: Node, value: Any) -> Shape:
        return _numbers(decimals.multiples(_decimal(value), self._work))

    def _min_length(self, node: Node, value: Any) -> Shape:
        return _texts(automaton.of_lengths(int(value), None, self._work))

    def _max_length(self, node: Node, value: Any) -> Shape:
        return _texts(automaton.of_lengths(0, int(value), self._work))

    def _pattern(self, node: Node, value: Any) -> Shape:
        return _texts(searched(value, self._work))

    def _format(self, node: Node, value: Any) -> Shape:
        if value in UNHELD_FORMATS:
            raise Unheld(f"{value} cannot be held")
        return _texts(whole(FORMATS[value], self._work)) if value in FORMATS else ANYTHING

    # -- arrays ----------------------------------------------------------------------------------

    def _items(self, node: Node, value: Any) -> Shape:
        """All that says which items an array has."""
        schema = node.schema
        first, rest, words = schema.get("prefixItems", []), schema.get("items", True), "items"
        begin = "prefixItems"
        if isinstance(rest, list):  # until draft 2019-09
            first, rest, words = rest, schema.get("additionalItems", True), "additionalItems"
            begin = "items"
        elif "items" not in schema and "unevaluatedItems" in schema:
            rest, words = (
                self._unevaluated(node, "unevaluatedItems", "contains"),
                "unevaluatedItems",
            )
        needs = tuple(self._need(node, f"{begin}/{n}", part) for n, part in enumerate(first))
        return _arrays(Arrays(needs, self._need(node, words, rest)))

    def _min_items(self, node: Node, value: Any) -> Shape:
        return _arrays(Arrays(least=int(value)))

    def _max_items(self, node: Node, value: Any) -> Shape:
        return _arrays(Arrays(most=int(value)))

    def _unique_items(self, node: Node, value: Any) -> Shape:
        if not value:
            return ANYTHING
        if node.schema.get("maxItems", 2) > 1 and _may_be_array(node.schema):
            raise Unheld("that items differ cannot be held; lower maxItems to 1, or leave it out")
        return _arrays(Arrays(is_unique=True))

    def _contains(self, node: Node, value: Any) -> Shape:
        if node.schema.get("minContains") == 0 and "maxContains" not in node.schema:
            return ANYTHING
        if not _may_be_array(node.schema):
            return ANYTHING
        raise Unheld("what an array contains cannot be held; name its items")

    def _unevaluated(self, node: Node, keyword: str, *more: str) -> Any:
        value = node.schema[keyword]
        beside = [other for other in (*_APPLIED, *more) if other in node.schema]
        if value is not True and beside:
            raise Unheld(f"cannot be held beside {beside[0]}", node.place, keyword)
        return value

    # -- objects ---------------------------------------------------------------------------------

    def _properties(self, node: Node, value: Any) -> Shape:
        """All that says which needs the values of an object have."""
        schema = node.schema
        properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        rest, word = schema.get("additionalProperties", True), "additionalProperties"
        if word not in schema and "unevaluatedProperties" in schema:
            word = "unevaluatedProperties"
            rest = self._unevaluated(node, word)
        result = ANYTHING
        free: Automaton = ALL
        for pattern, part in patterns.items():
            keys = self._keys(node, pattern)
            part_need = self._need(node, f"patternProperties/{escaped(pattern)}", part)
            others = (Keys(keys, part_need, True), Keys(automaton.inverse(keys)))
            result = self._algebra.both(result, _objects(Objects(others=others)))
            free = self.sets.without(free, keys)
        named = tuple(
            (name, self._need(node, f"properties/{escaped(name)}", part))
            for name, part in properties.items()
        )
        free_keys = Keys(free, self._need(node, word, rest), is_invited=word in schema)
        all_keys = [free_keys, Keys(automaton.inverse(free))] if patterns else [free_keys]
        closed = tuple(keys for keys in all_keys if keys.need != NOTHING)
        return self._algebra.both(_objects(Objects(named, others=closed)), result)

    def _keys(self, node: Node, pattern: str) -> Automaton:
        try:
            return searched(pattern, self._work)
        except Unheld as error:
            place = f"{node.place}/patternProperties"
            raise error.at(place, escaped(pattern)) from None

    def _required(self, node: Node, value: Any) -> Shape:
        return _objects(Objects(required=tuple(dict.fromkeys(value))))

    def _min_properties(self, node: Node, value: Any) -> Shape:
        return _objects(Objects(least=int(value)))

    def _max_properties(self, node: Node, value: Any) -> Shape:
        return _objects(Objects(most=int(value)))

    def _property_names(self, node: Node, value: Any) -> Shape:
        names = self.sets.automaton(self._part(node, "propertyNames", value).texts)
        return _objects(Objects(others=(Keys(names),)))

    def _dependent(self, node: Node, value: Any) -> Shape:
        """Each key with what follows from it: other keys, or a schema."""
        result = ANYTHING
        for key, then in value.items():
            if isinstance(then, list):
                follows = _objects(Objects(required=tuple(dict.fromkeys([key, *then]))))
            else:
                follows = self._part(node, f"dependentSchemas/{escaped(key)}", then)
                there = _objects(Objects(required=(key,)))
                follows = self._algebra.both(follows, there)
            absent = _objects(Objects(((key, NOTHING),)))
            result = self._algebra.both(result, self._algebra.either(absent, follows))
        return result

    # -- schemas together ------------------------------------------------------------------------

    def _ref(self, node: Node, value: Any) -> Shape:
        return self._read(self._document.target(value, node))

    def _all_of(self, node: Node, value: Any) -> Shape:
        parts = [self._part(node, f"allOf/{n}", part) for n, part in enumerate(value)]
        return reduce(self._algebra.both, parts, ANYTHING)

    def _any_of(self, node: Node, value: Any) -> Shape:
        parts = [self._part(node, f"anyOf/{n}", part) for n, part in enumerate(value)]
        return reduce(self._algebra.either, parts, IMPOSSIBLE)

    def _one_of(self, node: Node, value: Any) -> Shape:
        """Each alternative without those of the others that overlap it."""
        parts = [self._part(node, f"oneOf/{n}", part) for n, part in enumerate(value)]
        result = IMPOSSIBLE
        for place, part in enumerate(parts):
            for other in (*parts[:place], *parts[place + 1 :]):
                if not self._algebra.is_impossible(self._algebra.both(part, other)):
                    part = self._algebra.both(part, self._algebra.opposite(other))
            result = self._algebra.either(result, part)
        return result

    def _not(self, node: Node, value: Any) -> Shape:
        return self._algebra.opposite(self._part(node, "not", value))

    def _if(self, node: Node, value: Any) -> Shape:
        if not node.schema.keys() & {"then", "else"}:
            return ANYTHING
        condition = self._part(node, "if", value)
        then = self._part(node, "then", node.schema.get("then", True))
        other = self._part(node, "else", node.schema.get("else", True))
        both = self._algebra.both
        return self._algebra.either(
            both(condition, then), both(self._algebra.opposite(condition), other)
        )

    def _dynamic(self, node: Node, value: Any) -> Shape:
        raise Unheld("dynamic references cannot be held; use $ref")


def _numbers(values: Values) -> Shape:
    return replace(ANYTHING, numbers=values)


def _texts(values: Values) -> Shape:
    return replace(ANYTHING, texts=values)


def _arrays(arrays: Arrays) -> Shape:
    return replace(ANYTHING, arrays=(arrays,))


def _objects(objects: Objects) -> Shape:
    return replace(ANYTHING, objects=(objects,))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _may_be_array(schema: Mapping[str, Any]) -> bool:
    """Whether an array may fit, as far as the schema's own `type` and values show."""
    if schema.keys() & {"const", "enum"}:
        return False
    kinds = schema.get("type", "array")
    return kinds == "array" or (isinstance(kinds, list) and "array" in kinds)


def _decimal(value: float) -> Decimal:
    return Decimal(decimals.text_of(value))


def _spelling(value: Any) -> str:
    """A scalar, as JSON has it; 1.0 is 1."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else decimals.text_of(value)


RULES: tuple[tuple[tuple[str, ...], Callable[[Reader, Node, Any], Shape]], ...] = (
    (("type",), Reader._type),
    (("const",), Reader._const),
    (("enum",), Reader._enum),
    (
        ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties"),
        Reader._properties,
    ),
    (("required",), Reader._required),
    (("minProperties",), Reader._min_properties),
    (("maxProperties",), Reader._max_properties),
    (("propertyNames",), Reader._property_names),
    (("dependentRequired",), Reader._dependent),
    (("dependentSchemas",), Reader._dependent),
    (("dependencies",), Reader._dependent),
    (("prefixItems", "items", "unevaluatedItems"), Reader._items),
    (("minItems",), Reader._min_items),
    (("maxItems",), Reader._max_items),
    (("uniqueItems",), Reader._unique_items),
    (("contains",), Reader._contains),
    (("minimum",), Reader._minimum),
    (("maximum",), Reader._maximum),
    (("exclusiveMinimum",), Reader._above),
    (("exclusiveMaximum",), Reader._below),
    (("multipleOf",), Reader._multiple_of),
    (("minLength",), Reader._min_length),
    (("maxLength",), Reader._max_length),
    (("pattern",), Reader._pattern),
    (("format",), Reader._format),
    (("$ref",), Reader._ref),
    (("$dynamicRef", "$recursiveRef"), Reader._dynamic),
    (("allOf",), Reader._all_of),
    (("anyOf",), Reader._any_of),
    (("oneOf",), Reader._one_of),
    (("not",), Reader._not),
    (("if",), Reader._if),
)
"""In the order in which an object's keys are written. Keywords that are read together share one."""
