"""Readings as JSON: the API sends them, the command line shows them."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from headrace.core.errors import Unavailable

Reading = TypeVar("Reading")
_adapters: dict[type, TypeAdapter[Any]] = {}
"""Of each kind of reading; one takes milliseconds to make."""


def as_json(reading: object) -> dict[str, Any]:
    """Return a reading, which is a dataclass, as JSON."""
    return dict(_adapter(type(reading)).dump_python(reading, mode="json"))


def from_json(kind: type[Reading], value: Any) -> Reading:
    """Return the reading that `as_json` made. Raises `Unavailable` where the value is none.

    Fields that later versions add are passed over.
    """
    try:
        reading: Reading = _adapter(kind).validate_python(value)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unavailable(f"the API is of another version: {where} is not as expected") from error
    return reading


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
