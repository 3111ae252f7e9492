"""Limits of a key, at the front door and in the window behind it."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from api.rate_limits import duration
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import Client
from headrace.core.jobs.rates import WINDOW_S
from tests.bench import Bench
from tests.unit.api.callers import Caller, code_of

COST = 5 + 3
"""Tokens of `Caller.submit`: prompt and max_tokens."""


def test_so_many_requests_a_minute_and_no_more(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", requests_per_minute=3)

    answers = [alice.submit() for _request in range(4)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"3"}
    assert code_of(answers[-1]) == "requests_per_minute"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2 * WINDOW_S
    resets = [answer.headers["x-ratelimit-reset-requests"] for answer in answers]
    assert set(resets) <= {"2m0s", "1m59s", "1m58s", "1m57s"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0004, "1ms"), (0.12, "120ms"), (1, "1s"), (59.1, "1m0s"), (360, "6m0s")],
)
def test_a_time_is_written_as_openai_writes_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_so_many_tokens_a_minute_and_no_more(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", tokens_per_minute=2 * COST + 1)

    answers = [alice.submit() for _request in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    left = [answer.headers["x-ratelimit-remaining-tokens"] for answer in answers]
    assert left == [str(COST + 1), "1", "1"]
    assert all(
        re.fullmatch(r"1m5\ds|2m0s", answer.headers["x-ratelimit-reset-tokens"])
        for answer in answers
    )
    assert code_of(answers[-1]) == "tokens_per_minute"


def test_what_is_refused_takes_nothing_from_the_other_limit(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    alice = Caller(
        client, api_keys, "alice", requests_per_minute=9, tokens_per_minute=COST, running_jobs=1
    )
    assert alice.submit().status_code == 202

    refused = alice.submit(max_tokens=1)
    assert code_of(refused) == "tokens_per_minute"
    assert refused.headers["x-ratelimit-remaining-requests"] == "8"


def test_what_the_queue_refuses_takes_nothing_from_any(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    alice = Caller(
        client, api_keys, "alice", requests_per_minute=9, tokens_per_minute=900, running_jobs=1
    )
    alice.submit()

    refused = alice.submit()
    assert (refused.status_code, code_of(refused)) == (429, "running_jobs")
    assert refused.headers["x-ratelimit-remaining-requests"] == "8"
    assert refused.headers["x-ratelimit-remaining-tokens"] == str(900 - COST)
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_repeat_takes_nothing(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", requests_per_minute=9, tokens_per_minute=900)
    key = {"Idempotency-Key": "once"}

    answers = [
        alice.ask("POST", "/v1/jobs", key, json={"prompt": "hello", "max_tokens": 3})
        for _request in range(3)
    ]
    assert len({answer.headers["X-Headrace-Job-Id"] for answer in answers}) == 1
    assert {answer.headers["x-ratelimit-remaining-requests"] for answer in answers} == {"8"}
    assert {answer.headers["x-ratelimit-remaining-tokens"] for answer in answers} == {
        str(900 - COST)
    }


def test_jobs_that_ended_make_room_again(
    client: FlaskClient, api_keys: ApiKeyStore, bench: Bench
) -> None:
    alice = Caller(client, api_keys, "alice", running_jobs=1)
    alice.job()
    assert alice.submit().status_code == 429

    bench.turn(3)

    assert alice.submit().status_code == 202


def test_keys_of_one_tenant_have_their_own_rates_and_count_its_jobs_together(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    limits = {"requests_per_minute": 2, "running_jobs": 3}
    one = Caller(client, api_keys, "team", **limits)
    two = Caller(client, api_keys, "team", **limits)

    codes = [caller.submit().status_code for caller in (one, one, two)]
    assert codes == [202, 202, 202]
    assert code_of(one.submit()) == "requests_per_minute"
    assert code_of(two.submit()) == "running_jobs"


def test_a_share_of_the_queue_names_itself(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", queue_share=0.00001)  # of 100,000 jobs
    alice.job()
    assert code_of(alice.submit()) == "queue_share"


def test_what_can_never_pass_is_a_bad_request(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", requests_per_minute=5, tokens_per_minute=10)

    refused = alice.submit(max_tokens=100)
    assert (refused.status_code, code_of(refused)) == (400, "tokens_per_minute")
    assert refused.headers["x-ratelimit-remaining-requests"] == "5"


def test_every_front_door_is_limited(served: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(served, api_keys, "alice", requests_per_minute=3)
    chat = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}

    answers = [
        alice.ask("POST", "/v1/chat/completions", json=chat),
        alice.ask("POST", "/v1/chat/completions", json=chat | {"stream": True}),
        alice.ask("POST", "/v1/completions", json={"prompt": "x", "max_tokens": 1}),
    ]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0"]
    assert [answer.data for answer in answers]
    assert alice.ask("POST", "/v1/chat/completions", json=chat).status_code == 429


def test_looking_is_not_limited(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", requests_per_minute=1)
    job_id = alice.job()
    assert all(alice.ask("GET", f"/v1/jobs/{job_id}").status_code == 200 for _look in range(3))


def test_who_has_no_limits_is_told_of_none(
    client: FlaskClient, api_keys: ApiKeyStore, redis: Client
) -> None:
    answer = Caller(client, api_keys, "alice", Scope.SUBMIT).submit()

    assert not [name for name, _value in answer.headers if name.startswith("x-ratelimit")]
    assert not list(redis.scan_iter("headrace:rate:*"))


def test_refusals_are_counted(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice", running_jobs=1)
    alice.submit()
    alice.submit()
    assert 'headrace_rejected_total{reason="rate_limited"} 1.0' in client.get("/metrics").text
