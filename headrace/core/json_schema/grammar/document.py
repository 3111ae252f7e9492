"""A JSON schema as a document: the schemas in it by number, and what its references mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from headrace.core.json_schema.grammar.unheld import Unheld

_IN_MAPPINGS = (
    *("properties", "patternProperties", "$defs", "definitions"),
    *("dependentSchemas", "dependencies"),
)
_IN_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_IN_PLACE = (
    *("items", "additionalItems", "additionalProperties", "propertyNames", "contains", "not"),
    *("if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
_ROOT = "http://schema.invalid/"
_DRAFTS = {"draft-04": 4, "draft-06": 6, "draft-07": 7, "2019-09": 2019, "2020-12": 2020}


@dataclass(frozen=True, slots=True)
class Node:
    """One schema: its JSON pointer in the document, and the URI that references start from."""

    schema: Any
    place: str
    base: str


class Document:
    """Gives each schema a number. Raises `Unheld` for references that lead nowhere."""

    def __init__(self, schema: Any) -> None:
        self.draft = _draft(schema)
        self._nodes: list[Node] = []
        self._numbers: dict[int, int] = {}
        self._values: dict[str, int] = {}
        self._resources: dict[str, int] = {}
        self._anchors: dict[tuple[str, str], int] = {}
        self._enter(schema, "", _ROOT)
        self._resources.setdefault(_ROOT, 0)

    def __getitem__(self, number: int) -> Node:
        return self._nodes[number]

    def number(self, schema: Any, place: str, base: str) -> int:
        """The number of a schema in the document; booleans and what is no mapping get new ones."""
        found = self._numbers.get(id(schema)) if isinstance(schema, Mapping) else None
        return self._add(schema, place, base) if found is None else found

    def value(self, value: Any) -> int:
        """The number of a schema that fits one value only."""
        text = json.dumps(value, sort_keys=True)
        if text not in self._values:
            self._values[text] = self._add({"const": value}, "", _ROOT)
        return self._values[text]

    def target(self, reference: str, node: Node) -> int:
        """The number of the schema that `reference` names, seen from `node`."""
        address, fragment = urldefrag(_joined(node.base, reference))
        resource = self._resources.get(address)
        if resource is None:
            raise Unheld(f"{reference:.100}: no other document is fetched")
        if not fragment:
            return resource
        if fragment.startswith("/"):
            return self._at(resource, unquote(fragment), reference)
        anchor = self._anchors.get((address, unquote(fragment)))
        if anchor is None:
            raise Unheld(f"{reference:.100}: no such schema")
        return anchor

    def _at(self, resource: int, pointer: str, reference: str) -> int:
        node = self[resource]
        value, base, place = node.schema, node.base, node.place
        for token in pointer.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            value = _step(value, key, reference)
            place = f"{place}/{token}"
            known = self._numbers.get(id(value)) if isinstance(value, Mapping) else None
            base = base if known is None else self[known].base
        if not isinstance(value, Mapping | bool):
            raise Unheld(f"{reference:.100}: no schema")
        return self.number(value, place, base)

    def _add(self, schema: Any, place: str, base: str) -> int:
        number = len(self._nodes)
        self._nodes.append(Node(schema, place, base))
        if isinstance(schema, Mapping):
            self._numbers[id(schema)] = number
        return number

    def _enter(self, schema: Any, place: str, base: str) -> None:
        if isinstance(schema, bool) and place == "":
            self._add(schema, place, base)
        if not isinstance(schema, Mapping):
            return
        is_reference = self.draft <= 7 and "$ref" in schema
        name = schema.get("id" if self.draft == 4 else "$id")
        if isinstance(name, str) and not is_reference:
            base = self._name(name, place, base, schema)
        number = self._add(schema, place, base)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(anchor := schema.get(keyword), str):
                self._anchors[urldefrag(base)[0], anchor] = number
        for part, value in _children(schema):
            self._enter(value, f"{place}/{part}", base)

    def _name(self, name: str, place: str, base: str, schema: Any) -> str:
        """Notes what the schema is called; its number is the next one."""
        address, fragment = urldefrag(_joined(base, name))
        number = len(self._nodes)
        if fragment:  # an anchor, until draft 7
            self._anchors[address, fragment] = number
            return base if name.startswith("#") else address
        self._resources[address] = number
        if not place:
            self._resources[_ROOT] = number
        return address


def _joined(base: str, reference: str) -> str:
    """The absolute form of a reference; `urljoin` knows no fragments of URNs."""
    if not reference or reference.startswith("#"):
        return urldefrag(base)[0] + reference
    return urljoin(base, reference)


def escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword, value in schema.items():
        if keyword in _IN_MAPPINGS and isinstance(value, Mapping):
            for key, part in value.items():
                yield f"{keyword}/{escaped(key)}", part
        elif keyword in _IN_LISTS and isinstance(value, list):
            for place, part in enumerate(value):
                yield f"{keyword}/{place}", part
        elif keyword in _IN_PLACE:
            yield keyword, value


def _step(value: Any, key: str, reference: str) -> Any:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, list) and key.isdecimal() and int(key[:9]) < len(value):
        return value[int(key)]
    raise Unheld(f"{reference:.100}: no such schema")


def _draft(schema: Any) -> int:
    name = schema.get("$schema") if isinstance(schema, Mapping) else None
    return next((draft for part, draft in _DRAFTS.items() if part in str(name)), 2020)
