"""Schemas of random keywords beside each other, and values to hold them against."""

from __future__ import annotations

from random import Random
from typing import Any

KEYS = ["a", "b", "c", "kind", "foo", "ab", "größe"]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 10, 1.5, 2.5, -0.5, 0.1, 100),
    *("", "a", "b", "ab", "abc", "x1", "1", "größe", 'a"b', "2024-02-29", "127.0.0.1", "a@b.de"),
    *([], [1], ["a"], [1, 2], [1, "a"], ["a", "a"], [[]], [None], [1, 2, 3]),
    *({}, {"a": 1}, {"a": "x"}, {"b": 1}, {"a": 1, "b": 2}, {"a": 1, "c": "ab"}, {"a": None}),
    *({"kind": "x", "a": 1}, {"kind": "y"}, {"a": {"a": 1}}, {"ab": 1}, {"foo": [1]}, {"größe": 5}),
]
_TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]


class RandomSchemas:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def schema(self) -> dict[str, Any]:
        """With `$defs` for the references in it."""
        schema = self._keywords(self._random.randint(1, 3))
        return schema | {"$defs": {"x": self._part(1), "y": self._part(1)}}

    def _part(self, depth: int) -> Any:
        if depth <= 0 or self._random.random() < 0.1:
            simple = [{"type": kind} for kind in _TYPES]
            return self._random.choice([*simple, True, False, {}])
        return self._keywords(depth)

    def _keywords(self, depth: int) -> dict[str, Any]:
        random = self._random
        keywords = self._all(depth - 1)
        chosen = random.sample(sorted(keywords), random.randint(1, 3))
        schema: dict[str, Any] = {name: keywords[name] for name in chosen}
        if random.random() < 0.5:
            schema["type"] = random.choice([*_TYPES, ["string", "null"], ["object", "integer"]])
        return schema

    def _all(self, depth: int) -> dict[str, Any]:
        random, part = self._random, self._part
        key = random.choice(KEYS)
        return {
            "enum": random.sample(VALUES, 3),
            "const": random.choice(VALUES),
            "minimum": random.choice([0, 1, 2, -1, 0.5]),
            "maximum": random.choice([0, 2, 5, 1.5, 10]),
            "exclusiveMinimum": random.choice([0, 1, -1]),
            "exclusiveMaximum": random.choice([2, 3, 7]),
            "multipleOf": random.choice([2, 3, 0.5, 5]),
            "minLength": random.randint(0, 3),
            "maxLength": random.randint(0, 3),
            "pattern": random.choice(["^a", "b$", "^[a-z]+$", "a|1", "^.{2}$", "[^a]"]),
            "format": random.choice(["date", "ipv4", "email", "custom"]),
            "properties": {name: part(depth) for name in random.sample(KEYS, 2)},
            "required": random.sample(KEYS, 2),
            "additionalProperties": part(depth),
            "patternProperties": {random.choice(["^a", "b", "^k"]): part(depth)},
            "propertyNames": {"pattern": random.choice(["^a", "^[a-z]+$"])},
            "minProperties": random.randint(0, 2),
            "maxProperties": random.randint(0, 3),
            "dependentRequired": {key: [random.choice(KEYS)]},
            "dependentSchemas": {key: part(depth)},
            "items": part(depth),
            "prefixItems": [part(depth), part(depth)],
            "minItems": random.randint(0, 2),
            "maxItems": random.randint(0, 3),
            "uniqueItems": True,
            "unevaluatedProperties": False,
            "allOf": [part(depth), part(depth)],
            "anyOf": [part(depth), part(depth)],
            "oneOf": [part(depth), part(depth)],
            "not": part(depth),
            "if": part(depth),
            "then": part(depth),
            "else": part(depth),
            "$ref": random.choice(["#", "#/$defs/x", "#/$defs/y"]),
        }
