"""The jobs API."""

from __future__ import annotations

import threading

import pytest
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from tests.bench import Bench
from tests.fakes import make_request

PROMPT = {"prompt": "hello", "max_tokens": 3, "temperature": 0}


def submit(client: FlaskClient, **fields: object) -> str:
    response = client.post("/v1/jobs", json=PROMPT | fields)
    assert response.status_code == 202, response.json
    assert response.json is not None
    assert response.headers["Location"] == f"/v1/jobs/{response.json['id']}"
    return str(response.json["id"])


def test_token_ids_are_taken_as_they_are(client: FlaskClient, bench: Bench) -> None:
    job_id = submit(client, prompt=list(b"hello"))
    assert bench.queue.get(job_id).request.prompt_ids == tuple(b"hello")


def test_a_job_is_accepted_and_can_be_polled_until_it_is_done(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    waiting = client.get(f"/v1/jobs/{job_id}").json
    assert waiting is not None
    assert (waiting["status"], waiting["position"], waiting["prompt_tokens"]) == ("queued", 0, 5)
    assert waiting["result"] is None

    bench.turn(3)

    done = client.get(f"/v1/jobs/{job_id}").json
    assert done is not None
    assert done["status"] == "succeeded"
    assert done["result"] == {"text": "hel", "finish_reason": "length"}
    assert done["usage"]["completion_tokens"] == 3
    assert (done["attempts"], done["worker"], done["error"]) == (1, "worker-1", None)


def test_a_job_whose_model_no_worker_runs_says_what_it_waits_for(
    client: FlaskClient, bench: Bench
) -> None:
    bench.submit(make_request("old-1", card_hash="0123", model="old"))
    bench.turn(1)

    job = client.get("/v1/jobs/old-1").json
    assert job is not None
    assert job["waiting_for"] == {"model": "old", "reason": "no worker runs this model"}
    assert (job["status"], job["position"], job["eta_s"]) == ("queued", None, None)
    assert job["expires_at"] > job["created_at"]
    listed = client.get("/v1/jobs").json
    assert listed is not None
    assert listed["data"][0]["waiting_for"] == job["waiting_for"]
    timeline = client.get("/v1/jobs/old-1/timeline").json
    assert timeline is not None
    assert [moment["event"] for moment in timeline["data"]] == ["accepted", "set_aside"]


def test_the_stages_in_the_answer_partition_accepted_to_committed(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    bench.turn(3)

    job = client.get(f"/v1/jobs/{job_id}").json
    assert job is not None
    timings = job["timings"]
    assert set(timings["stages_ms"]) == {"queue_wait", "prefill", "decode", "commit"}
    life_ms = (timings["committed_at"] - timings["accepted_at"]) * 1000
    assert sum(timings["stages_ms"].values()) == pytest.approx(life_ms, abs=0.01)
    assert timings["total_ms"] == pytest.approx(life_ms, abs=0.01)
    assert timings["tokenize_ms"] > 0
    assert set(timings["engine_ms"]) == {"prefill", "decode"}


def test_a_waiting_poll_answers_as_soon_as_the_job_is_done(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    worker = threading.Timer(0.05, bench.turn, [3])
    worker.start()

    job = client.get(f"/v1/jobs/{job_id}?wait=60").json

    worker.join()
    assert job is not None
    assert job["status"] == "succeeded"


def test_a_waiting_poll_whose_time_is_over_shows_the_job_as_it_stands(client: FlaskClient) -> None:
    job_id = submit(client)

    job = client.get(f"/v1/jobs/{job_id}?wait=0.05").json
    assert job is not None
    assert job["status"] == "queued"


def test_a_conversation_can_be_a_job(client: FlaskClient, bench: Bench) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    response = client.post("/v1/jobs", json=body)
    assert response.json is not None

    bench.turn(4)
    job = client.get(response.headers["Location"]).json
    assert job is not None
    assert job["result"]["text"] == "user"


def test_jobs_are_listed_newest_first(client: FlaskClient, bench: Bench) -> None:
    first, second = submit(client), submit(client, priority="interactive")

    listed = client.get("/v1/jobs").json
    assert listed is not None
    assert [(job["id"], job["priority"]) for job in listed["data"]] == [
        (second, "interactive"),
        (first, "default"),
    ]
    bench.turn(3)
    running = client.get("/v1/jobs?state=queued").json
    assert running is not None
    assert running["data"] == []


def test_a_waiting_job_can_be_cancelled(client: FlaskClient, bench: Bench) -> None:
    job_id = submit(client)

    with capture_logs() as logs:
        cancelled = client.delete(f"/v1/jobs/{job_id}").json
        client.delete(f"/v1/jobs/{job_id}")

    finished = [line["job_id"] for line in logs if line["event"] == "request finished"]
    assert finished == [job_id]
    assert cancelled is not None
    assert cancelled["status"] == "cancelled"
    bench.turn(1)
    assert bench.worker.running == {}


def test_a_full_queue_answers_429_and_when_to_retry(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = client.application.extensions["headrace"]
    settings = services.settings.model_copy(update={"queue_max_jobs": 1})
    monkeypatch.setattr(services.queue, "settings", settings)
    submit(client)

    response = client.post("/v1/jobs", json=PROMPT)

    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0


# -- priority --------------------------------------------------------------------------------------


def test_the_priority_of_a_waiting_job_can_be_changed(client: FlaskClient) -> None:
    first, second = submit(client), submit(client)

    with capture_logs() as logs:
        response = client.patch(f"/v1/jobs/{second}", json={"priority": "interactive"})

    assert response.status_code == 200
    changed = response.json
    assert changed is not None
    assert (changed["id"], changed["priority"], changed["position"]) == (second, "interactive", 0)
    waiting = client.get(f"/v1/jobs/{first}").json
    assert waiting is not None
    assert (waiting["priority"], waiting["position"]) == ("default", 1)
    (line,) = [line for line in logs if line["event"] == "priority changed"]
    assert (line["job_id"], line["priority"]) == (second, "interactive")


def test_the_priority_of_a_job_that_no_longer_waits_cannot_be_changed(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    bench.turn(1)

    response = client.patch(f"/v1/jobs/{job_id}", json={"priority": "batch"})

    assert response.status_code == 409
    assert response.json is not None
    assert "no longer waits" in response.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "priority"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": None}, "priority"),
        ({"priority": "batch", "deadline_s": 5}, "deadline_s"),
        ([], "body"),
        ("batch", "body"),
    ],
)
def test_a_wrong_change_is_refused_by_the_name_of_its_field(
    client: FlaskClient, body: object, param: str
) -> None:
    job_id = submit(client)

    response = client.patch(f"/v1/jobs/{job_id}", json=body)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == param


# -- purge -----------------------------------------------------------------------------------------


def test_an_ended_job_can_be_purged(client: FlaskClient, bench: Bench) -> None:
    job_id = submit(client)
    bench.turn(3)

    with capture_logs() as logs:
        response = client.delete(f"/v1/jobs/{job_id}?purge=true")

    assert (response.status_code, response.data) == (204, b"")
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
    assert list(bench.redis.scan_iter(f"*{job_id}*")) == []
    events = [line["event"] for line in logs if line.get("job_id") == job_id]
    assert "job purged" in events
    assert "request finished" not in events


@pytest.mark.parametrize("turns", [0, 1], ids=["waits", "runs"])
def test_a_job_that_is_purged_before_its_end_is_cancelled_first(
    client: FlaskClient, bench: Bench, turns: int
) -> None:
    job_id = submit(client)
    bench.turn(turns)

    assert client.delete(f"/v1/jobs/{job_id}?purge=true").status_code == 204

    bench.turn(3)
    assert bench.worker.running == {}
    assert list(bench.redis.scan_iter(f"*{job_id}*")) == []


def test_a_job_brought_back_between_cancel_and_purge_is_not_purged(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(client)
    queue = client.application.extensions["headrace"].queue
    monkeypatch.setattr(queue, "cancel", lambda _job_id, _reason: False)

    assert client.delete(f"/v1/jobs/{job_id}?purge=true").status_code == 409
    assert client.get(f"/v1/jobs/{job_id}").status_code == 200


def test_purge_is_true_or_false(client: FlaskClient) -> None:
    job_id = submit(client)

    response = client.delete(f"/v1/jobs/{job_id}?purge=yes")

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == "purge"
    waiting = client.get(f"/v1/jobs/{job_id}").json
    assert waiting is not None
    assert waiting["status"] == "queued"


@pytest.mark.parametrize("job_id", ["nobody", "a:dependents"])
def test_an_unknown_job_can_be_neither_changed_nor_purged(client: FlaskClient, job_id: str) -> None:
    for response in (
        client.patch(f"/v1/jobs/{job_id}", json={"priority": "batch"}),
        client.delete(f"/v1/jobs/{job_id}?purge=true"),
        client.delete(f"/v1/jobs/{job_id}"),
    ):
        assert response.status_code == 404
        assert response.json is not None
        assert response.json["error"]["type"] == "invalid_request_error"


# -- waiting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefer", ["wait=60", "Wait = 60; x=y", 'respond-async, wait="60"'])
def test_who_prefers_to_wait_gets_the_ended_job(served: FlaskClient, prefer: str) -> None:
    response = served.post("/v1/jobs", json=PROMPT, headers={"Prefer": prefer})

    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=60"
    assert response.json is not None
    assert response.json["status"] == "succeeded"
    assert response.headers["Location"] == f"/v1/jobs/{response.json['id']}"


def test_who_waits_for_a_job_that_takes_longer_gets_it_as_it_stands(client: FlaskClient) -> None:
    response = client.post("/v1/jobs", json=PROMPT, headers={"Prefer": "wait=1"})

    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=1"
    assert response.json is not None
    assert response.json["status"] == "queued"


@pytest.mark.parametrize(
    "prefer", ["wait", "wait=0", "wait=soon", "wait=-1", "handling=strict", ","]
)
def test_a_preference_that_means_nothing_here_is_ignored(client: FlaskClient, prefer: str) -> None:
    response = client.post("/v1/jobs", json=PROMPT, headers={"Prefer": prefer})

    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers


def test_nobody_waits_longer_than_is_allowed(served: FlaskClient) -> None:
    response = served.post("/v1/jobs", json=PROMPT, headers={"Prefer": "wait=86400"})

    assert response.headers["Preference-Applied"] == "wait=590"


def test_who_waits_while_redis_goes_away_learns_the_id_and_not_to_ask_again(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> None:
        raise RedisConnectionError("away")

    queue = client.application.extensions["headrace"].queue
    monkeypatch.setattr(queue, "states", away)
    monkeypatch.setattr(queue, "get_many", away)

    response = client.post("/v1/jobs", json=PROMPT, headers={"Prefer": "wait=1"})

    assert response.status_code == 504
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    assert bench.state(response.json["error"]["job_id"]) == "queued"


# -- list ------------------------------------------------------------------------------------------


def test_the_list_goes_on_behind_its_cursor(client: FlaskClient) -> None:
    ids = [submit(client) for _job in range(3)]

    first = client.get("/v1/jobs?limit=2").json
    assert first is not None
    assert [job["id"] for job in first["data"]] == ids[:0:-1]
    assert first["has_more"] is True
    submit(client)
    last = client.get(f"/v1/jobs?limit=2&after={first['next_cursor']}").json
    assert last is not None
    assert [job["id"] for job in last["data"]] == ids[:1]
    assert (last["has_more"], last["next_cursor"]) == (False, None)


@pytest.mark.parametrize("cursor", ["nonsense", "käse", "aW5mIGE"])
def test_what_is_no_cursor_is_refused_by_its_name(client: FlaskClient, cursor: str) -> None:
    response = client.get("/v1/jobs", query_string={"after": cursor})

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == "after"


# -- what is told ----------------------------------------------------------------------------------


def test_a_waiting_job_tells_its_deadline_and_a_cancelled_one_its_reason(
    client: FlaskClient,
) -> None:
    job_id = submit(client, deadline_s=60)
    waiting = client.get(f"/v1/jobs/{job_id}").json
    assert waiting is not None
    assert waiting["deadline_s"] == 60
    assert waiting["deadline_at"] == pytest.approx(waiting["created_at"] + 60, abs=1e-3)
    assert (waiting["expires_at"], waiting["reason"]) == (waiting["deadline_at"], None)

    cancelled = client.delete(f"/v1/jobs/{job_id}").json
    assert cancelled is not None
    assert (cancelled["expires_at"], cancelled["reason"]) == (None, "cancelled")


def test_the_timeline_tells_what_happened_and_when(client: FlaskClient, bench: Bench) -> None:
    job_id = submit(client)
    bench.turn(1)
    bench.leases.take_back("worker-1")
    client.delete(f"/v1/jobs/{job_id}")

    timeline = client.get(f"/v1/jobs/{job_id}/timeline").json
    assert timeline is not None
    assert (timeline["id"], timeline["object"]) == (job_id, "timeline")
    events = [moment["event"] for moment in timeline["data"]]
    assert events[:2] == ["accepted", "claimed"]
    assert events[-3:] == ["died", "redelivered", "cancelled"]
    first, claimed = timeline["data"][:2]
    assert set(first) == {"event", "at", "after_ms"}
    assert (first["after_ms"], claimed["worker"], claimed["attempt"]) == (0, "worker-1", 1)
    assert client.get("/v1/jobs/nobody/timeline").status_code == 404
