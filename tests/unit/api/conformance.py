"""Holds every answer of an app to its own OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from flask import Flask, Response, request
from jsonschema_rs import Draft202012Validator, ValidationError

from api.openapi import FOREIGN, build_document

IMPLICIT = ("HEAD", "OPTIONS")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


class Conformance:
    """`broken` says of each answer that is not as documented what is wrong with it."""

    def __init__(self, app: Flask) -> None:
        self.broken: list[str] = []
        self._document = document_of(app)
        # Flask runs these from the last to the first: here all headers are there.
        app.after_request_funcs.setdefault(None, []).insert(0, self._check)

    def _check(self, response: Response) -> Response:
        if request.url_rule is not None and self._is_documented(request.endpoint or ""):
            path = PARAMETER.sub(r"{\1}", request.url_rule.rule)
            place = f"{request.method} {path}: {response.status_code}"
            self.broken += [f"{place}: {each}" for each in self._problems(path, response)]
        return response

    def _is_documented(self, endpoint: str) -> bool:
        return endpoint.partition(".")[0] not in FOREIGN and request.method not in IMPLICIT

    def _problems(self, path: str, response: Response) -> list[str]:
        responses = self._document["paths"][path][request.method.lower()]["responses"]
        documented = responses.get(str(response.status_code))
        if documented is None:
            return ["not documented"]
        headers = documented["headers"].items()
        missing = [name for name, header in headers if header["required"]]
        problems = [f"no {name}" for name in missing if name not in response.headers]
        return problems + self._body_problems(documented.get("content", {}), response)

    def _body_problems(self, content: dict[str, Any], response: Response) -> list[str]:
        if not content:
            return [] if response.get_data() == b"" else ["a body"]
        if response.mimetype not in content:
            return [f"its content type is {response.mimetype}"]
        if response.mimetype != "application/json":
            return []
        try:
            self._validator(content["application/json"]["schema"]).validate(response.json)
        except ValidationError as error:
            return [f"{'.'.join(map(str, error.instance_path))}: {error.message}"]
        return []

    def _validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        return validator(schema["$ref"]) if "$ref" in schema else Draft202012Validator(schema)


_documents: list[dict[str, Any]] = []


def document_of(app: Flask) -> dict[str, Any]:
    """The same for all apps of a session: what their settings change are limits of requests."""
    if not _documents:
        _documents.append(build_document(app, app.extensions["headrace"].settings))
    return _documents[0]


@cache
def validator(ref: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": ref, "components": _documents[0]["components"]})
