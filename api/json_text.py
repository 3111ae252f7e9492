"""JSON as JSON Schema understands it."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str) -> Any:
    """1.0 is the integer 1. Raises `ValueError`, also for NaN, and `RecursionError`."""
    return _DECODER.decode(text)


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_refuse_constant)
