"""The OpenAPI document: valid, whole, and true."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify
from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.errors import TABLE
from api.openapi import FOREIGN, build_document
from headrace.core.settings import Settings
from tests.unit.api.conformance import Conformance
from tests.unit.api.test_bad_input import BODIES, CHAT, JOBS, RESPONSE_SCHEMA, TEXT, chat
from tests.unit.api.test_neutral import NEUTRAL

JOB = "/v1/jobs/{job_id}"
REFUSALS = {
    ("post", CHAT): "400 401 403 404 413 415 421 422 429 500 503 504",
    ("post", TEXT): "400 401 403 404 413 415 421 422 429 500 503 504",
    ("post", JOBS): "400 401 403 404 413 415 421 422 429 503 504",
    ("get", JOBS): "400 401 403 421 503",
    ("get", JOB): "400 401 403 404 421 503",
    ("patch", JOB): "400 401 403 404 409 413 415 421 503",
    ("delete", JOB): "400 401 403 404 409 421 503",
    ("get", f"{JOB}/stream"): "400 401 403 404 421 503",
    ("get", f"{JOB}/timeline"): "400 401 403 404 421 503",
    ("get", "/v1/models"): "400 401 403 421 503",
    ("get", "/v1/models/{name}"): "400 401 403 404 421 503",
    ("get", "/v1/dead"): "400 401 403 421 503",
    ("delete", "/v1/dead"): "400 401 403 421 503",
    ("get", "/v1/dead/{job_id}"): "400 401 403 404 421 503",
    ("delete", "/v1/dead/{job_id}"): "400 401 403 404 409 421 503",
    ("post", "/v1/dead/{job_id}/replay"): "400 401 403 404 409 413 415 421 429 503",
    ("get", "/health"): "",
    ("get", "/healthz"): "",
    ("get", "/readyz"): "503",
    ("get", "/metrics"): "401 403 421 503",
    ("get", "/v1/fleet"): "400 401 403 421 503",
    ("get", "/v1/fleet/overview"): "400 401 403 421 503",
    ("get", "/v1/fleet/slo"): "400 401 403 421 503",
    ("get", "/v1/fleet/decisions"): "400 401 403 421 503",
    ("get", "/openapi.json"): "400 401 403 421 503",
}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found = client.get("/openapi.json").json
    assert isinstance(found, dict)
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def accepts(document: dict[str, Any], path: str, body: Any) -> bool:
    """Whether the document says that this may be sent."""
    content = document["paths"][path]["post"]["requestBody"]["content"]
    schema = content["application/json"]["schema"] | {"components": document["components"]}
    return Draft202012Validator(schema).is_valid(body)


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_it_has_every_route_of_ours(client: FlaskClient, document: dict[str, Any]) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.partition(".")[0] not in FOREIGN
    }
    assert operations(document).keys() == routes


def test_a_route_that_nobody_described_is_no_document(client: FlaskClient) -> None:
    app = Flask("other")
    app.register_blueprint(Blueprint("forgotten", __name__))
    app.add_url_rule("/forgotten", "forgotten.view", lambda: "")

    with pytest.raises(LookupError, match=r"forgotten\.view"):
        build_document(app, client.application.extensions["headrace"].settings)


def test_it_says_how_each_route_may_refuse(document: dict[str, Any]) -> None:
    refusals = {
        place: " ".join(status for status in operation["responses"] if status >= "400")
        for place, operation in operations(document).items()
    }
    assert refusals == REFUSALS


def test_every_status_of_the_table_is_one_of_some_route() -> None:
    documented = {status for statuses in REFUSALS.values() for status in statuses.split()}
    assert {str(refusal.status) for refusal in TABLE.values()} <= documented


def test_each_operation_has_its_own_name_and_a_summary(document: dict[str, Any]) -> None:
    found = list(operations(document).values())
    assert len({operation["operationId"] for operation in found}) == len(found)
    assert all(operation["summary"] for operation in found)


def test_it_says_which_scope_a_route_wants(document: dict[str, Any]) -> None:
    found = operations(document)
    assert found["post", JOBS]["security"] == [{"key": ["submit"]}]
    assert found["get", "/healthz"]["security"] == []
    assert found["get", "/metrics"]["security"] == [{}, {"key": ["admin"]}]
    assert found["get", "/openapi.json"]["security"] == [{"key": ["read"]}, {"password": ["read"]}]


def test_a_refusal_for_now_says_when_to_come_again(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        for status in operation["responses"].keys() & {"429", "503"}:
            assert operation["responses"][status]["headers"]["Retry-After"]["required"]


def test_limits_that_are_settings_are_those_of_the_deployment(
    settings: Settings, redis_url: str
) -> None:
    changes = {"redis_url": redis_url, "max_wait_s": 7.0, "result_ttl_max_s": 70}
    app = create_app(settings.model_copy(update=changes))
    document = build_document(app, app.extensions["headrace"].settings)

    parameters = document["paths"][JOB]["get"]["parameters"]
    [wait] = [each["schema"] for each in parameters if each["name"] == "wait"]
    assert wait["maximum"] == 7.0
    assert not accepts(document, JOBS, {"prompt": "x", "ttl_s": 71})
    assert "x-limited-by" not in str(document)


@pytest.mark.parametrize("field", NEUTRAL)
def test_a_field_that_is_taken_may_be_sent(document: dict[str, Any], field: dict[str, Any]) -> None:
    assert accepts(document, CHAT, chat(**field))


SENDABLE = [row for row in BODIES if "\\ud800" not in repr(row)]
"""Those that JSON in UTF-8 can say."""

MEANT = {
    (CHAT, "max_tokens"): "does not fit the model",
    (CHAT, "messages"): "does not fit the model",
    (CHAT, RESPONSE_SCHEMA): "no schema can say which schemas there are",
    (JOBS, RESPONSE_SCHEMA): "nor here",
    (JOBS, "chat_template_kwargs"): "goes with messages",
    (JOBS, "prompt"): "a number that no token can have",
    (TEXT, "prompt"): "does not fit the model, or half a character",
}
"""Fields of bad bodies that only their meaning makes bad: what becomes of them is no shape."""


@pytest.mark.parametrize(("path", "body", "param"), SENDABLE)
def test_a_body_of_a_wrong_shape_may_not_be_sent(
    document: dict[str, Any], path: str, body: Any, param: str
) -> None:
    assert not accepts(document, path, body) or (path, param) in MEANT


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(messages=[{"role": "user", "content": [{"type": "text", "text": "x"}]}])),
        (CHAT, chat(messages=[{"role": "user", "content": "x", "name": None}])),
        (CHAT, chat(logprobs=True, top_logprobs=2)),
        (CHAT, chat(stop="x", seed=-(2**63))),
        (CHAT, chat(n=1.0, top_k=5.0, best_of=1.0)),
        (TEXT, {"prompt": "x"}),
        (TEXT, {"prompt": [1, 2]}),
        (TEXT, {"prompt": ["x", [1, 2]], "stop": ["a", "b"]}),
        (CHAT, chat(chat_template_kwargs={"tools": [], "documents": [{"a": 1}], "b": [2]})),
        (JOBS, {"prompt": "x", "messages": None, "chat_template_kwargs": {}}),
        (JOBS, {"messages": [{"role": "user", "content": "x"}]}),
    ],
)
def test_what_is_read_may_be_sent(
    document: dict[str, Any], served: FlaskClient, path: str, body: dict[str, Any]
) -> None:
    body = body | {"max_tokens": 2}
    assert accepts(document, path, body)
    assert served.post(path, json=body).status_code in (200, 202)


def test_a_field_whose_default_is_the_models_own_says_so(document: dict[str, Any]) -> None:
    for body in ("ChatBody", "CompletionBody", "JobBody"):
        field = document["components"]["schemas"][body]["properties"]["temperature"]
        assert "sampling_defaults" in field["description"]
        assert field["default"] is None


def test_an_answer_that_is_not_as_documented_is_found(settings: Settings, redis_url: str) -> None:
    app = create_app(settings.model_copy(update={"redis_url": redis_url}))
    app.view_functions["operations.healthz"] = lambda: jsonify({"status": "fine"})
    app.view_functions["operations.readyz"] = lambda: ("not yet", 425)
    conformance = Conformance(app)

    app.test_client().get("/healthz")
    app.test_client().get("/readyz")

    assert conformance.broken[0].startswith("GET /healthz: 200: status: ")
    assert conformance.broken[1:] == ["GET /readyz: 425: not documented"]
