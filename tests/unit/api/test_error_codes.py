"""Whatever goes wrong, the answer has a code of the documented list."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as RedisAway

from api.error_codes import CODES
from api.errors import TABLE
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.errors import HeadraceError
from headrace.core.jobs import keys
from tests.bench import Bench
from tests.fakes import make_request
from tests.unit.api.callers import Caller
from tests.unit.api.test_bad_input import CHAT, JOBS, TEXT, chat

DOCS = Path(__file__).parents[3] / "docs" / "api.md"


def test_the_docs_list_every_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", DOCS.read_text(), re.M)
    assert {code: meaning for code, meaning in rows if code in CODES} == CODES


def test_every_kind_of_error_that_has_one_code_has_a_documented_one() -> None:
    ours = [kind for kind in TABLE if issubclass(kind, HeadraceError)]
    kinds = {each for kind in ours for each in [kind, *kind.__subclasses__()]}
    assert {kind.code for kind in kinds} <= set(CODES)


BROTLI = {"Content-Encoding": "br"}
CASES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v1/nothing", {}, 404, "unknown_url"),
    ("GET", "/v1/jobs/nobody", {}, 404, "job_not_found"),
    ("GET", "/v1/jobs/nobody/stream", {}, 404, "job_not_found"),
    ("GET", "/v1/dead/nobody", {}, 404, "job_not_found"),
    ("GET", "/v1/models/other", {}, 404, "model_not_found"),
    ("GET", CHAT, {}, 405, "method_not_allowed"),
    ("PATCH", "/v1/jobs/job-1", {"json": {"priority": "batch"}}, 409, "wrong_state"),
    ("POST", TEXT, {"data": b" " * 3_000_000}, 413, "body_too_large"),
    ("POST", TEXT, {"headers": BROTLI, "data": b"{}"}, 415, "unsupported_encoding"),
    ("POST", TEXT, {"data": b"{"}, 400, "invalid_value"),
    ("POST", TEXT, {"json": {}}, 400, "missing_required_parameter"),
    ("POST", CHAT, {"json": chat(temprature=1)}, 400, "unknown_parameter"),
    ("POST", CHAT, {"json": chat(tools=[{}])}, 400, "unsupported_value"),
    ("POST", CHAT, {"json": chat(max_tokens=10_000)}, 400, "context_length_exceeded"),
    ("GET", f"{JOBS}?limits=1", {}, 400, "unknown_parameter"),
    ("GET", f"{JOBS}?limit=x", {}, 400, "invalid_value"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "code"), CASES)
def test_each_refusal_has_its_code(
    client: FlaskClient, bench: Bench, method: str, path: str, options: Any, status: int, code: str
) -> None:
    bench.submit(make_request())
    bench.turn(3)

    response = client.open(path, method=method, **options)

    assert response.json is not None
    error = response.json["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error.keys() >= {"message", "type", "param", "code"}
    assert code in CODES


def test_a_key_that_is_missing_or_may_not_has_its_code(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    reader = Caller(client, api_keys, "alice", Scope.READ)

    answers = [client.get(JOBS), reader.submit(), client.get("/v1/nothing")]

    codes = [answer.json["error"]["code"] for answer in answers]  # type: ignore[index]
    assert codes == ["invalid_api_key", "insufficient_scope", "invalid_api_key"]


def test_a_model_that_is_not_there_yet_is_unavailable(client: FlaskClient, bench: Bench) -> None:
    bench.redis.delete(keys.CARD)

    response = client.get("/v1/models")

    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (503, "unavailable")


def test_a_redis_that_is_away_is_unavailable(client: FlaskClient) -> None:
    def fail(*_arguments: Any) -> Any:
        raise RedisAway("gone")

    client.application.view_functions["jobs.index"] = fail

    response = client.get(JOBS)

    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (503, "unavailable")


def test_a_fault_of_ours_is_an_internal_error(client: FlaskClient) -> None:
    app = client.application
    with app.test_request_context("/health"):
        response = app.make_response(app.handle_user_exception(ZeroDivisionError()))

    assert response.json is not None
    error = response.json["error"]
    assert (response.status_code, error["type"]) == (500, "server_error")
    assert error["code"] == "internal_error"
