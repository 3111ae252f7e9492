"""Which JSON schemas an answer may be held to."""

from __future__ import annotations

import socket
import time
from contextlib import nullcontext
from typing import Any

import pytest

from api.schemas import JobBody
from headrace.core.errors import InvalidRequest
from headrace.core.json_schema.dialect import DIALECTS


def parse(schema: dict[str, Any]) -> JobBody:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return JobBody.parse({"prompt": "x", "response_format": form})


@pytest.mark.parametrize("dialect", [*DIALECTS, *(f"{dialect}#" for dialect in DIALECTS)])
def test_known_dialects_are_taken(dialect: str) -> None:
    schema = {"$schema": dialect, "type": "object"}
    assert parse(schema).response_format.schema_text is not None


def test_a_schema_is_read_in_its_own_dialect() -> None:
    pair = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}

    parse({"$schema": "http://json-schema.org/draft-07/schema#"} | pair)
    with pytest.raises(InvalidRequest, match="items"):
        parse(pair)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "nothing"}, "type"),
        ({"properties": {"name": {"minLength": -1}}}, r"properties\.name\.minLength"),
        ({"$defs": {"a": {"required": "b"}}}, r"\$defs\.a\.required"),
        ({"$schema": 5}, r"\$schema"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRequest, match=place) as refused:
        parse(schema)
    assert refused.value.param == "response_format.json_schema.schema"


def test_nothing_that_a_schema_names_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema"

        with pytest.raises(InvalidRequest, match=r"\$schema"):
            parse({"$schema": url})
        parse({"$id": url, "$ref": url, "properties": {"a": {"$schema": url, "$id": "a"}}})

        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("fields", [300, 25_000])
def test_a_large_schema_holds_nobody_up(fields: int) -> None:
    field = {"type": "string", "pattern": "^(a|b)+$", "minLength": 1}
    names = [f"field {number}" for number in range(fields)]
    schema = {"properties": {name: field for name in names}, "required": names}

    began = time.perf_counter()
    with nullcontext() if fields == 300 else pytest.raises(InvalidRequest, match="at most 65536"):
        parse(schema)

    assert time.perf_counter() - began < 2
