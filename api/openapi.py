"""The OpenAPI document: every route of ours, written from what its `Operation` says of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import groupby
from typing import Any, Literal

from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from redis.exceptions import RedisError
from werkzeug.routing import Rule

from api.access import LOCAL, PUBLIC, scope_of
from api.addresses import PARAMETER
from api.answers import Refused
from api.arguments import JOB_ID
from api.caller import BROWSED, DASHBOARD, DOCS
from api.errors import TABLE
from api.openapi_headers import HEADERS, PARAMETERS
from api.operation import Answer, Operation
from api.queries import Query
from api.request_id import HEADER as REQUEST_ID
from api.schemas import LIMITED_BY
from headrace.core.errors import Forbidden, InvalidRequest, Unauthorised, UntrustedHost
from headrace.core.settings import Settings
from headrace.core.version import version

Json = dict[str, Any]
Described = tuple[Rule, str, Operation]
"""A route, one of its methods, and what is said of it."""

FOREIGN = frozenset({"static", DASHBOARD, DOCS})
"""Blueprints that are pages, made elsewhere."""

PATH_SCHEMAS: dict[str, Json] = {
    "job_id": {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
    "name": {"type": "string", "minLength": 1},
}
SCHEMAS = "#/components/schemas/"

SECURITY_SCHEMES: Json = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "password": {"type": "http", "scheme": "basic", "description": "The password is an API key."},
}


def build_document(app: Flask, settings: Settings) -> Json:
    """Raises `LookupError` for a route of ours that no `Operation` describes."""
    described = list(_described(app))
    schemas = Schemas([operation for _rule, _method, operation in described])
    paths: dict[str, Json] = {}
    for rule, method, operation in described:
        view = app.view_functions[rule.endpoint]
        path = paths.setdefault(PARAMETER.sub(r"{\1}", rule.rule), {})
        path[method.lower()] = _operation(rule, operation, view, schemas)
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace",
            "version": version(),
            "description": "A durable inference queue for language models.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": SECURITY_SCHEMES},
    }
    limited: Json = _with_limits(document, settings)
    return limited


def _described(app: Flask) -> Iterator[Described]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in FOREIGN:
            continue
        operation = vars(app.view_functions[rule.endpoint]).get("operation")
        if operation is None:
            raise LookupError(f"{rule.endpoint}: its view needs an Operation")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method, operation


class Untitled(GenerateJsonSchema):
    """A title for every field would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Schemas:
    """The types of all operations, each of them once in `components`."""

    def __init__(self, operations: list[Operation]) -> None:
        self._refs, found = TypeAdapter.json_schemas(
            [(kind, mode, TypeAdapter(kind)) for kind, mode in _types(operations)],
            ref_template=SCHEMAS + "{model}",
            schema_generator=Untitled,
        )
        definitions = found["$defs"]
        queries = {operation.query for operation in operations if operation.query is not None}
        self._queries = {query: definitions.pop(query.__name__) for query in queries}
        self.components = dict(sorted(definitions.items()))

    def body(self, kind: Any) -> Json:
        return self._refs[kind, "validation"]

    def answer(self, kind: Any) -> Json:
        return self._refs[kind, "serialization"]

    def query(self, kind: type[Query]) -> Iterator[tuple[str, Json, bool]]:
        """Name and schema of each parameter, and whether it has to be there."""
        schema = self._queries[kind]
        for name, field in schema["properties"].items():
            field = {
                key: value for key, value in field.items() if (key, value) != ("default", None)
            }
            yield name, field, name in schema.get("required", ())


def _types(operations: list[Operation]) -> set[tuple[Any, Literal["validation", "serialization"]]]:
    found: set[tuple[Any, Literal["validation", "serialization"]]] = {(Refused, "serialization")}
    for operation in operations:
        found |= {(kind, "validation") for kind in (operation.query, operation.body) if kind}
        found |= {(each.json, "serialization") for each in operation.answers.values() if each.json}
    return found


def _operation(
    rule: Rule, operation: Operation, view: Callable[..., Any], schemas: Schemas
) -> Json:
    summary, _, description = (inspect.getdoc(view) or "").partition("\n\n")
    written: Json = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary.rstrip("."),
        "security": _security(rule.endpoint),
        "parameters": list(_parameters(rule, operation, schemas)),
        "responses": _responses(rule.endpoint, operation, schemas),
    }
    if description:
        written["description"] = description
    if operation.body is not None:
        content = {"application/json": {"schema": schemas.body(operation.body)}}
        written["requestBody"] = {"content": content, "required": operation.needs_body}
    return written


def _security(endpoint: str) -> list[Json]:
    """Each line of it is enough."""
    if endpoint in PUBLIC:
        return []
    names = ["key"] + (["password"] if endpoint.partition(".")[0] in BROWSED else [])
    needed: list[Json] = [{name: [scope_of(endpoint).value]} for name in names]
    return [{}, *needed] if endpoint in LOCAL else needed


def _parameters(rule: Rule, operation: Operation, schemas: Schemas) -> Iterator[Json]:
    for name in PARAMETER.findall(rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS[name]}
    if operation.query not in (None, Query):
        for name, schema, is_required in schemas.query(operation.query):
            yield {"name": name, "in": "query", "required": is_required, "schema": schema}
    for name in (*operation.headers, REQUEST_ID):
        yield {"name": name, "in": "header", "required": False, **PARAMETERS[name]}


def _responses(endpoint: str, operation: Operation, schemas: Schemas) -> Json:
    responses = {
        str(status): _response(status, answer, schemas)
        for status, answer in operation.answers.items()
    }
    kinds = sorted(_refusals(endpoint, operation), key=_status)
    for status, group in groupby(kinds, _status):
        responses[str(status)] = _refusal(list(group), schemas)
    if operation.body is not None:
        responses["413"] = _refused("The body is too large.", {}, schemas)
        encoding = "The body has an encoding that cannot be read."
        responses["415"] = _refused(encoding, {"Accept-Encoding": True}, schemas)
    return dict(sorted(responses.items()))


def _response(status: int, answer: Answer, schemas: Schemas) -> Json:
    content: Json = {media_type: {} for media_type in answer.texts}
    if answer.json is not None:
        content = {"application/json": {"schema": schemas.answer(answer.json)}} | content
    always = dict.fromkeys(answer.headers, True) | dict.fromkeys(answer.may_have, False)
    written = {"description": HTTPStatus(status).phrase, "headers": _headers(always)}
    return written | ({"content": content} if content else {})


def _refusals(endpoint: str, operation: Operation) -> set[type[Exception]]:
    """What the view refuses, and what stands before every view."""
    kinds = set(operation.refuses)
    if operation.query is not None or operation.body is not None:
        kinds.add(InvalidRequest)
    if endpoint not in PUBLIC:
        kinds |= {Unauthorised, Forbidden, UntrustedHost}
    return kinds | ({RedisError} if operation.durable else set())


def _status(kind: type[Exception]) -> int:
    return TABLE[kind].status


def _refusal(kinds: list[type[Exception]], schemas: Schemas) -> Json:
    """Of one status: a header is always there where all of its errors bring it."""
    brought = [TABLE[kind].headers for kind in kinds]
    always = {name: all(name in each for each in brought) for each in brought for name in each}
    return _refused(" ".join(sorted(map(_when, kinds))), always, schemas)


def _when(kind: type[Exception]) -> str:
    """As its docstring says."""
    if kind is RedisError:
        return "The queue's Redis does not answer, or accepts no writes; the message says why."
    text = (inspect.getdoc(kind) or kind.__name__).partition("\n")[0].removeprefix("Raised ")
    return text[0].upper() + text[1:]


def _refused(description: str, headers: dict[str, bool], schemas: Schemas) -> Json:
    return {
        "description": description,
        "headers": _headers(headers),
        "content": {"application/json": {"schema": schemas.answer(Refused)}},
    }


def _headers(always: dict[str, bool]) -> Json:
    """Those of an answer, and whether each is always there."""
    named = {REQUEST_ID: True} | always
    return {name: {"required": required, **HEADERS[name]} for name, required in named.items()}


def _with_limits(value: Any, settings: Settings) -> Any:
    """The same, with the maxima that are settings of this deployment."""
    if isinstance(value, list):
        return [_with_limits(each, settings) for each in value]
    if not isinstance(value, dict):
        return value
    limited = {name: _with_limits(each, settings) for name, each in value.items()}
    if LIMITED_BY in limited:
        limited["maximum"] = getattr(settings, limited.pop(LIMITED_BY))
    return limited
