"""Requests that mean harm: bodies as raw text, with the route that they are sent to."""

from __future__ import annotations

import json
from typing import Any

CHAT, TEXT, JOBS = "/v1/chat/completions", "/v1/completions", "/v1/jobs"
MESSAGES = [{"role": "user", "content": "hello"}]
SHORT = {"messages": MESSAGES, "max_tokens": 4}


def _schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}


def _nested(levels: int) -> Any:
    schema: Any = {"type": "string"}
    for _level in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def _wide(names: int) -> Any:
    properties = {f"name-{number}": {"type": "string"} for number in range(names)}
    return {"type": "object", "properties": properties}


SCHEMAS: list[Any] = [
    _nested(200),
    _wide(2000),
    {"type": "string", "pattern": "(a{1,1000}){1,1000}"},
    {"type": "string", "pattern": "^(a+)+$"},
    {"type": "array", "items": {"type": "string"}, "minItems": 10**9},
    {"$ref": "#"},
    {"enum": [f"value-{number}" for number in range(20_000)]},
    {"anyOf": [{"type": "object", "properties": {"a": {"$ref": "#"}}}] * 100},
]

BODIES: list[tuple[str, Any]] = [
    *((CHAT, SHORT | {"response_format": _schema(schema)}) for schema in SCHEMAS),
    (CHAT, SHORT | {"stop": ["x" * 10_000] * 4}),
    (CHAT, SHORT | {"stop": [str(number) for number in range(10_000)]}),
    (CHAT, SHORT | {"n": 10**6}),
    (CHAT, SHORT | {"n": 128, "logprobs": True, "top_logprobs": 10**6}),
    (CHAT, SHORT | {"logit_bias": {str(number): 1 for number in range(100_000)}}),
    (CHAT, SHORT | {"max_tokens": 2**63}),
    (CHAT, SHORT | {"temperature": 1e308, "top_p": 1e-308, "seed": -(2**63)}),
    (CHAT, {"messages": [{"role": "user", "content": "a" * 900_000}], "max_tokens": 1}),
    (CHAT, {"messages": MESSAGES * 20_000, "max_tokens": 1}),
    (TEXT, {"prompt": ["x"] * 5000, "max_tokens": 1}),
    (TEXT, {"prompt": [[10**9] * 1000], "max_tokens": 1}),
    (TEXT, {"prompt": "x", "max_tokens": 4, "logprobs": 10**9, "n": 1000, "best_of": 1000}),
    (JOBS, {"prompt": "\ud83d\ude00" * 100_000, "max_tokens": 1, "deadline_s": 1e-9}),
    (JOBS, {"prompt": "x", "ttl_s": 1e300, "metadata": {"a" * 100_000: "b"}}),
]

RAW: list[tuple[str, bytes]] = [
    (CHAT, b"[" * 500_000),
    (CHAT, b'{"a":' * 200_000),
    (TEXT, b'{"prompt": "x", "max_tokens": ' + b"9" * 100_000 + b"}"),
    (TEXT, b"\x00" * 100_000),
    (JOBS, b'{"prompt": "\\ud800", "max_tokens": NaN}'),
]


def requests() -> list[tuple[str, bytes]]:
    """Route and body of each."""
    return [*((route, json.dumps(body).encode()) for route, body in BODIES), *RAW]
