"""How requests become jobs: once under a key, and refused where they cannot be served in time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from headrace.core.jobs import keys
from headrace.core.jobs.pace import LONGEST_RETRY_S, RETRY_SHARE
from tests.bench import Bench
from tests.unit.api.test_openai import CHAT, TEXT, chunks
from tests.waiting import eventually

PROMPT = {"prompt": "hello", "max_tokens": 3, "temperature": 0}
JOB = "X-Headrace-Job-Id"


def post(
    client: FlaskClient, body: dict[str, Any] = PROMPT, key: str = "k", path: str = "/v1/jobs"
) -> TestResponse:
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def error_of(response: TestResponse) -> dict[str, Any]:
    assert response.json is not None
    error: dict[str, Any] = response.json["error"]
    return error


# -- Idempotency-Key -------------------------------------------------------------------------------


def test_a_repeat_answers_with_the_same_job_and_says_so(client: FlaskClient, bench: Bench) -> None:
    first, again = post(client), post(client)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert bench.queue.waiting() == 1


def test_a_repeat_shows_the_job_as_it_stands(client: FlaskClient, bench: Bench) -> None:
    post(client)
    bench.turn(3)

    again = post(client).json
    assert again is not None
    assert (again["status"], again["result"]["text"]) == ("succeeded", "hel")


def test_another_key_is_another_job(client: FlaskClient) -> None:
    assert post(client, key="a").headers[JOB] != post(client, key="b").headers[JOB]


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/jobs", PROMPT | {"max_tokens": 2}), ("/v1/completions", PROMPT)]
)
def test_another_request_under_a_key_is_a_conflict(
    client: FlaskClient, bench: Bench, path: str, body: dict[str, Any]
) -> None:
    job_id = post(client).headers[JOB]

    response = post(client, body, path=path)

    assert response.status_code == 422
    assert response.headers["x-should-retry"] == "false"
    error = error_of(response)
    assert (error["code"], error["param"]) == ("idempotency_conflict", "Idempotency-Key")
    assert job_id in error["message"]
    assert bench.queue.waiting() == 1


@pytest.mark.parametrize(
    ("bare", "quoted"),
    [
        ("abc", '"abc"'),
        ("a b", '"a b"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("x" * 255, f'"{"x" * 255}"'),
    ],
)
def test_quotes_around_a_key_are_no_part_of_it(client: FlaskClient, bare: str, quoted: str) -> None:
    assert post(client, key=quoted).headers[JOB] == post(client, key=bare).headers[JOB]
    assert post(client, PROMPT | {"max_tokens": 2}, key=quoted).status_code == 422


@pytest.mark.parametrize("key", ['"abc', 'abc"', '"', '"a"b"'])
def test_quotes_that_do_not_match_are_part_of_a_key(client: FlaskClient, key: str) -> None:
    assert post(client, key=key).headers[JOB] != post(client, key="abc").headers[JOB]


@pytest.mark.parametrize("key", ["", '""', "x" * 256, f'"{"x" * 256}"', "naïve", "a\tb"])
def test_a_key_that_cannot_be_one_is_refused_by_name(
    client: FlaskClient, bench: Bench, key: str
) -> None:
    response = post(client, key=key)

    assert response.status_code == 400
    assert error_of(response)["param"] == "Idempotency-Key"
    assert bench.queue.waiting() == 0


@pytest.mark.parametrize("key", ["x" * 255, "a b:c", "~"])
def test_any_printable_key_will_do(client: FlaskClient, key: str) -> None:
    assert post(client, key=key).headers[JOB] == post(client, key=key).headers[JOB]


def test_a_hundred_calls_at_once_make_one_job(client: FlaskClient, bench: Bench) -> None:
    together = threading.Barrier(20)

    def call(number: int) -> TestResponse:
        together.wait()
        return post(client.application.test_client())

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call, range(100)))

    assert [answer.status_code for answer in answers] == [202] * 100
    assert len({answer.headers[JOB] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert bench.queue.waiting() == 1


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)]
)
def test_a_repeated_completion_gives_the_same_answer(
    served: FlaskClient, path: str, body: dict[str, Any]
) -> None:
    first, again = post(served, body, path=path), post(served, body, path=path)

    assert again.json == first.json
    assert again.headers[JOB] == first.headers[JOB]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_repeated_stream_begins_at_its_beginning(served: FlaskClient) -> None:
    def read() -> tuple[TestResponse, str]:
        stream = post(served, CHAT | {"stream": True}, path="/v1/chat/completions")
        deltas = [event["choices"][0]["delta"] for event in chunks(stream.text)]
        return stream, "".join(delta.get("content", "") for delta in deltas)

    (first, text), (again, repeated) = read(), read()

    assert (text, repeated) == ("user", "user")
    assert again.headers[JOB] == first.headers[JOB]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_repeat_waits_with_a_first_call_that_is_under_way(
    client: FlaskClient, bench: Bench
) -> None:
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(post, client.application.test_client(), TEXT, path="/v1/completions")
            for _call in range(2)
        ]
        eventually(bench.queue.waiting)
        with bench.serving():
            first, second = (call.result() for call in calls)

    assert first.json == second.json
    assert first.headers[JOB] == second.headers[JOB]


# -- a full queue ----------------------------------------------------------------------------------


def bound_to(client: FlaskClient, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = client.application.extensions["headrace"].queue
    settings = queue.settings.model_copy(update={"queue_max_jobs": jobs})
    monkeypatch.setattr(queue, "settings", settings)


def refusals(client: FlaskClient, count: int) -> list[int]:
    """What `Retry-After` says to so many who come behind the one that is accepted."""
    client.post("/v1/jobs", json=PROMPT)
    answers = [client.post("/v1/jobs", json=PROMPT) for _try in range(count)]
    return [int(answer.headers["Retry-After"]) for answer in answers]


def test_a_full_queue_says_when_there_will_be_room(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pretend_pace(tokens_per_s=2.0)
    bound_to(client, 2, monkeypatch)
    for _job in range(2):
        client.post("/v1/jobs", json=PROMPT)

    response = client.post("/v1/jobs", json=PROMPT)

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "8"  # what waits, two jobs of 8 tokens, has to go
    assert error_of(response)["code"] == "queue_full"


def test_who_is_refused_later_is_called_back_later(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pretend_pace(tokens_per_s=2.0)
    bound_to(client, 1, monkeypatch)

    times = refusals(client, 3)

    apart = 8 / (RETRY_SHARE * 2.0)  # each is 8 tokens
    assert times == [pytest.approx(4 + number * apart, abs=1) for number in range(3)]


def test_nobody_is_called_back_later_than_in_ten_minutes(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pretend_pace(tokens_per_s=0.1)
    bound_to(client, 1, monkeypatch)

    assert refusals(client, 9)[-1] == LONGEST_RETRY_S
    owed_until = float(bench.redis.hget(keys.PACE, "owed_until"))
    assert owed_until <= bench.redis.time()[0] + LONGEST_RETRY_S + 1


def test_a_full_queue_that_nobody_measured_says_a_second(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound_to(client, 1, monkeypatch)
    client.post("/v1/jobs", json=PROMPT)

    assert client.post("/v1/jobs", json=PROMPT).headers["Retry-After"] == "1"


def test_a_repeat_is_answered_though_the_queue_is_full(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound_to(client, 1, monkeypatch)

    assert post(client).headers[JOB] == post(client).headers[JOB]


# -- what to expect --------------------------------------------------------------------------------


def test_a_new_job_says_its_place_and_when_it_will_probably_have_ended(
    client: FlaskClient, bench: Bench
) -> None:
    bench.pretend_pace(tokens_per_s=8.0, decode_s=0.5)
    first, second = (client.post("/v1/jobs", json=PROMPT).json for _job in range(2))

    assert first is not None
    assert second is not None
    assert (first["position"], second["position"]) == (0, 1)
    assert (first["eta_s"], second["eta_s"]) == (1.5, 3.5)  # a slot is free; two have to end
    shown = client.get(f"/v1/jobs/{second['id']}").json
    assert shown is not None
    assert (shown["position"], shown["eta_s"]) == (1, 3.5)


def test_nothing_is_promised_before_anything_was_measured(
    client: FlaskClient, bench: Bench
) -> None:
    job = client.post("/v1/jobs", json=PROMPT).json

    assert job is not None
    assert (job["position"], job["eta_s"]) == (0, None)


def test_a_job_that_waits_no_longer_has_no_place_and_no_eta(
    client: FlaskClient, bench: Bench
) -> None:
    bench.pretend_pace(tokens_per_s=8.0)
    job_id = client.post("/v1/jobs", json=PROMPT).headers[JOB]
    bench.turn(1)

    job = client.get(f"/v1/jobs/{job_id}").json
    assert job is not None
    assert (job["status"], job["position"], job["eta_s"]) == ("running", None, None)


def test_a_deadline_that_the_backlog_cannot_meet_is_refused(
    client: FlaskClient, bench: Bench
) -> None:
    bench.pretend_pace(tokens_per_s=2.0, decode_s=0.5)
    client.post("/v1/jobs", json=PROMPT)

    response = client.post("/v1/jobs", json=PROMPT | {"deadline_s": 3})

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "4"  # what goes before it has left
    error = error_of(response)
    assert (error["code"], error["param"]) == ("deadline_unmeetable", "deadline_s")
    assert "in about 9.5 s" in error["message"]
    assert bench.queue.waiting() == 1
    assert client.post("/v1/jobs", json=PROMPT | {"deadline_s": 10}).status_code == 202


def test_the_first_in_an_empty_queue_may_have_any_deadline(
    client: FlaskClient, bench: Bench
) -> None:
    bench.pretend_pace(tokens_per_s=0.001, decode_s=100.0)

    assert client.post("/v1/jobs", json=PROMPT | {"deadline_s": 0.1}).status_code == 202


# -- ttl_s -----------------------------------------------------------------------------------------


def test_a_caller_says_how_long_its_job_is_kept(client: FlaskClient, bench: Bench) -> None:
    job_id = client.post("/v1/jobs", json=PROMPT | {"ttl_s": 60}).headers[JOB]
    bench.turn(3)

    assert 55 < bench.redis.ttl(f"rq:job:{job_id}") <= 60


@pytest.mark.parametrize("ttl_s", [0, 604_801, 1.5, "60"])
def test_a_job_can_be_kept_for_as_long_as_the_setting_allows(
    client: FlaskClient, bench: Bench, ttl_s: object
) -> None:
    response = client.post("/v1/jobs", json=PROMPT | {"ttl_s": ttl_s})

    assert response.status_code == 400
    assert error_of(response)["param"] == "ttl_s"
    assert bench.queue.waiting() == 0
