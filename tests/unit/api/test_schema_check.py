"""Schemas are tried before a job with them exists."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from api import schema_check
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.json_schema.verdict import Verdict
from headrace.core.json_schema.verdict_store import VerdictStore
from headrace.core.roster import Roster, WorkerState
from headrace.core.types import EngineStats, Feature
from tests.bench import Bench
from tests.fakes import CARD
from tests.unit.api.openai_calls import CHAT

SCHEMA = {"properties": {"a": {"type": "integer"}}, "type": "object"}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
JOB = {"prompt": "x", "response_format": FORM}
PARAM = "response_format.json_schema.schema"


@pytest.fixture
def worker(redis: Client) -> None:
    """A live worker whose engine holds output to schemas; nobody sits at its desk."""
    roster = Roster(redis, ttl_s=60)
    roster.beat(WorkerState("w", "ready", 1, "Engine", EngineStats(), features=(*Feature,)))
    roster.serve(CARD.hash)


@pytest.fixture
def verdicts(redis: Client) -> VerdictStore:
    return VerdictStore(redis, "Engine", CARD.hash, most_s=2.0)


@pytest.fixture
def desk(verdicts: VerdictStore) -> Iterator[dict[str, Verdict]]:
    """Answers questions as the test says; what it does not name is good."""
    answers: dict[str, Verdict] = {}
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            if (schema := verdicts.next_question(0.2)) is not None:
                verdicts.answer(schema, answers.get(schema, Verdict(0.1)))

    thread = threading.Thread(target=serve)
    thread.start()
    yield answers
    over.set()
    thread.join()


def error(client: FlaskClient, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
    response = client.post(path, json=body)
    assert response.status_code == status, response.json
    refused: dict[str, Any] = response.json["error"]  # type: ignore[index]
    return refused


@pytest.mark.usefixtures("worker", "desk")
def test_a_good_schema_is_taken(client: FlaskClient, bench: Bench) -> None:
    assert client.post("/v1/jobs", json=JOB).status_code == 202
    assert bench.queue.waiting() == 1


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs", JOB),
        ("/v1/chat/completions", CHAT | {"response_format": FORM, "stream": True}),
    ],
)
def test_a_schema_that_the_worker_refuses_becomes_no_job(
    client: FlaskClient,
    bench: Bench,
    desk: dict[str, Verdict],
    path: str,
    body: dict[str, Any],
) -> None:
    desk[json.dumps(SCHEMA)] = Verdict(0.1, refusal="Unsupported type")

    refused = error(client, path, body, 400)
    assert refused["param"] == PARAM
    assert refused["message"] == f"{PARAM}: Unsupported type"
    assert bench.queue.waiting() == 0


@pytest.mark.usefixtures("worker")
def test_where_no_verdict_comes_in_time_the_caller_is_to_come_again(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_check, "WAIT_S", 0.1)
    response = client.post("/v1/jobs", json=JOB)

    assert response.status_code == 503
    assert response.json is not None
    assert response.json["error"]["code"] == "schema_undecided"
    assert response.headers["Retry-After"] == "1"
    assert bench.queue.waiting() == 0


def test_where_no_worker_lives_the_bounds_decide(client: FlaskClient, bench: Bench) -> None:
    assert client.post("/v1/jobs", json=JOB).status_code == 202
    endless = {"type": "string", "pattern": "^(((([a-y]{1,40}){1,40}){1,40}){1,40})$"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": endless}}

    refused = error(client, "/v1/jobs", JOB | {"response_format": form}, 400)
    assert refused["param"] == PARAM
    assert "repeats are written out" in refused["message"]
    assert bench.queue.waiting() == 1


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"properties": {"a": {"type": "array", "uniqueItems": True}}},
            "#/properties/a/uniqueItems: ",
        ),
        ({"type": "string", "pattern": "(?=a)"}, "#/pattern: lookahead"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "#: no value fits these together: "),
        ({"$ref": "#/$defs/missing"}, "#/$ref: "),
    ],
)
def test_where_no_worker_lives_what_no_grammar_holds_becomes_no_job(
    client: FlaskClient, bench: Bench, schema: dict[str, Any], words: str
) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    refused = error(client, "/v1/jobs", JOB | {"response_format": form}, 400)
    assert refused["param"] == PARAM
    assert refused["message"].startswith(f"{PARAM}: {words}")
    assert bench.queue.waiting() == 0


@pytest.mark.usefixtures("worker")
def test_a_worker_of_another_model_is_not_asked(
    client: FlaskClient, redis: Client, bench: Bench
) -> None:
    redis.delete(keys.serving(CARD.hash))
    assert client.post("/v1/jobs", json=JOB).status_code == 202
