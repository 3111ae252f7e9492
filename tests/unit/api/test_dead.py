"""The dead letters API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from headrace.core.card_store import CardStore
from tests.bench import Bench
from tests.fakes import make_card, make_request
from tests.unit.core.jobs.steps import bury

PROMPT = "swordfish"


@pytest.fixture
def dead(bench: Bench) -> str:
    """The id of a dead letter that two workers died of."""
    bury(bench.queue, make_request("dead-1", prompt=PROMPT), error="two workers died of it")
    deaths = [{"worker": "worker-1", "at": 1_700_000_000.5, "batch_size": 16}]
    fields = {"hr_deaths": 2, "hr_died": json.dumps(deaths)}
    bench.redis.hset("rq:job:dead-1", mapping=fields)
    return "dead-1"


def answer(response: TestResponse, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.json
    assert isinstance(response.json, dict)
    return response.json


def test_a_dead_letter_tells_what_happened(client: FlaskClient, dead: str) -> None:
    letter = answer(client.get(f"/v1/dead/{dead}"))

    assert (letter["id"], letter["object"]) == (dead, "dead_letter")
    assert (letter["reason"], letter["error"]) == ("dead", "two workers died of it")
    assert (letter["attempts"], letter["deaths"], letter["batch_size"]) == (1, 2, 16)
    assert letter["died"] == [
        {"worker": "worker-1", "died_at": 1_700_000_000.5, "batch_size": 16},
    ]
    assert (letter["model"], letter["priority"], letter["prompt_tokens"]) == ("tiny", "default", 9)
    assert letter["created_at"] <= letter["ended_at"] < letter["forgotten_at"]
    assert letter["replayed_as"] is None


def test_dead_letters_are_listed_up_to_a_limit(client: FlaskClient, bench: Bench) -> None:
    assert answer(client.get("/v1/dead")) == {"object": "list", "data": []}
    for name in ("a", "b"):
        bury(bench.queue, make_request(name))

    listed = answer(client.get("/v1/dead"))["data"]
    assert {letter["id"] for letter in listed} == {"a", "b"}
    assert len(answer(client.get("/v1/dead?limit=1"))["data"]) == 1


def test_no_prompt_is_in_any_answer(client: FlaskClient, dead: str) -> None:
    for path in ("/v1/dead", f"/v1/dead/{dead}"):
        answered = client.get(path).data.decode()
        assert PROMPT not in answered
        assert "prompt_ids" not in answered


def test_a_letter_that_cannot_be_read_is_shown_all_the_same(
    client: FlaskClient, bench: Bench, dead: str
) -> None:
    bench.redis.hset(f"rq:job:{dead}", "data", b"nothing that RQ wrote")

    letter = answer(client.get(f"/v1/dead/{dead}"))

    assert (letter["model"], letter["prompt_tokens"], letter["request_id"]) == (None, None, None)


# -- replay ----------------------------------------------------------------------------------------


def test_a_replay_is_a_job_that_runs(client: FlaskClient, bench: Bench, dead: str) -> None:
    with capture_logs() as logs:
        response = client.post(f"/v1/dead/{dead}/replay")

    job = answer(response, 202)
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert response.headers["X-Headrace-Job-Id"] == job["id"]
    assert (job["status"], job["replay_of"], job["prompt_tokens"]) == ("queued", dead, 9)
    assert answer(client.get(f"/v1/dead/{dead}"))["replayed_as"] == job["id"]
    (line,) = [line for line in logs if line["event"] == "dead letter replayed"]
    assert (line["job_id"], line["replay_of"]) == (job["id"], dead)

    bench.turn(4)
    done = answer(client.get(response.headers["Location"]))
    assert (done["status"], done["result"]["text"]) == ("succeeded", PROMPT[:4])


def test_a_replay_asked_for_twice_is_one_job_unless_it_is_forced(
    client: FlaskClient, bench: Bench, dead: str
) -> None:
    first = answer(client.post(f"/v1/dead/{dead}/replay"), 202)
    again = answer(client.post(f"/v1/dead/{dead}/replay", json={"force": False}), 202)
    forced = answer(client.post(f"/v1/dead/{dead}/replay", json={"force": True}), 202)

    assert first["id"] == again["id"] != forced["id"]
    assert bench.queue.waiting() == 2


def test_a_letter_that_no_worker_could_run_is_not_replayed(
    client: FlaskClient, bench: Bench, dead: str
) -> None:
    CardStore(bench.redis).put(make_card("other"))

    refusal = answer(client.post(f"/v1/dead/{dead}/replay"), 409)

    assert "another model" in refusal["error"]["message"]
    assert bench.queue.waiting() == 0


@pytest.mark.parametrize(
    ("body", "param"),
    [({"force": 1}, "force"), ({"fast": True}, "fast"), ([], "body"), ("now", "body")],
)
def test_a_wrong_replay_is_refused_by_the_name_of_its_field(
    client: FlaskClient, bench: Bench, dead: str, body: object, param: str
) -> None:
    refusal = answer(client.post(f"/v1/dead/{dead}/replay", json=body), 400)

    assert refusal["error"]["param"] == param
    assert bench.queue.waiting() == 0


# -- purge -----------------------------------------------------------------------------------------


def test_a_purged_letter_is_gone(client: FlaskClient, bench: Bench, dead: str) -> None:
    response = client.delete(f"/v1/dead/{dead}")

    assert (response.status_code, response.data) == (204, b"")
    assert client.get(f"/v1/dead/{dead}").status_code == 404
    assert client.delete(f"/v1/dead/{dead}").status_code == 404
    assert list(bench.redis.scan_iter(f"*{dead}*")) == []


def test_all_letters_of_an_age_are_purged(client: FlaskClient, bench: Bench, dead: str) -> None:
    bury(bench.queue, make_request("old"))
    bench.redis.hset("rq:job:old", "hr_committed", bench.redis.time()[0] - 3600)

    with capture_logs() as logs:
        assert answer(client.delete("/v1/dead?older_than_s=3000")) == {"purged": 1}
    assert [line["count"] for line in logs if line["event"] == "dead letters purged"] == [1]
    assert [letter["id"] for letter in answer(client.get("/v1/dead"))["data"]] == [dead]
    assert answer(client.delete("/v1/dead?older_than_s=0")) == {"purged": 1}


@pytest.mark.parametrize("query", ["", "?older_than_s=", "?older_than_s=-1", "?older_than_s=nan"])
def test_nothing_is_purged_without_an_age(client: FlaskClient, dead: str, query: str) -> None:
    refusal = answer(client.delete(f"/v1/dead{query}"), 400)

    assert refusal["error"]["param"] == "older_than_s"
    assert client.get(f"/v1/dead/{dead}").status_code == 200


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("job_id", ["nobody", "a:dependents", "waits"])
def test_what_is_no_dead_letter_is_not_found(
    client: FlaskClient, bench: Bench, job_id: str
) -> None:
    bench.submit(make_request("waits"))
    for response in (
        client.get(f"/v1/dead/{job_id}"),
        client.post(f"/v1/dead/{job_id}/replay"),
        client.delete(f"/v1/dead/{job_id}"),
    ):
        assert answer(response, 404)["error"]["type"] == "invalid_request_error"
    assert bench.queue.waiting() == 1


@pytest.mark.parametrize("limit", ["0", "many", "1001", "nan"])
def test_a_limit_is_a_number_in_bounds(client: FlaskClient, limit: str) -> None:
    refusal = answer(client.get(f"/v1/dead?limit={limit}"), 400)

    assert refusal["error"]["param"] == "limit"
