"""Pages of other origins that use the API from a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.callers import Caller

CHAT = "https://chat.example"
PROMPT = {"prompt": "hello", "max_tokens": 1}
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture
def client_with(
    settings: Settings, redis_url: str, bench: Bench
) -> Iterator[Callable[[str], FlaskClient]]:
    """A client of an app with these `HEADRACE_CORS_ORIGINS`."""
    apps = []

    def make(origins: str) -> FlaskClient:
        changes = {"redis_url": redis_url, "cors_origins": origins}
        apps.append(create_app(settings.model_copy(update=changes)))
        return apps[-1].test_client()

    yield make
    for app in apps:
        app.extensions["headrace"].waiters.close()


def ask_before(client: FlaskClient, origin: str, path: str = "/v1/jobs") -> TestResponse:
    return client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
        },
    )


def test_an_allowed_page_may_ask_and_read_the_headers(
    client_with: Callable[[str], FlaskClient], api_keys: ApiKeyStore
) -> None:
    client = client_with(f"http://localhost:3000, {CHAT}:443")
    alice = Caller(client, api_keys, "alice", requests_per_minute=1)

    before = ask_before(client, CHAT)
    assert (before.status_code, before.data) == (204, b"")
    assert before.headers[ALLOW] == CHAT
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    allowed = before.headers["Access-Control-Allow-Headers"]
    assert allowed == "authorization,content-type,x-stainless-os"
    assert "Access-Control-Allow-Credentials" not in before.headers

    for status in (202, 429):
        answer = alice.ask("POST", "/v1/jobs", headers={"Origin": CHAT}, json=PROMPT)
        assert (answer.status_code, answer.headers[ALLOW]) == (status, CHAT)
        assert "Origin" in answer.headers["Vary"]
        exposed = answer.headers["Access-Control-Expose-Headers"].lower().split(", ")
        for name in ("x-ratelimit-remaining-requests", "retry-after", "x-request-id", "location"):
            assert name in exposed
    refused = client.get("/v1/jobs", headers={"Origin": CHAT})
    assert (refused.status_code, refused.headers[ALLOW]) == (401, CHAT)


def test_every_header_of_ours_is_exposed(
    client_with: Callable[[str], FlaskClient], api_keys: ApiKeyStore
) -> None:
    client = client_with(CHAT)
    alice = Caller(client, api_keys, "alice", requests_per_minute=5, tokens_per_minute=500)
    headers = {"Origin": CHAT, "Idempotency-Key": "k", "Prefer": "wait=0.1"}
    safelisted = {"content-type", "content-length", "vary"}

    alice.ask("POST", "/v1/jobs", headers=headers, json=PROMPT)
    answer = alice.ask("POST", "/v1/jobs", headers=headers, json=PROMPT)
    exposed = answer.headers["Access-Control-Expose-Headers"].lower().split(", ")
    sent = {name.lower() for name, _value in answer.headers}
    hidden = {name for name in sent if name not in exposed and not name.startswith("access-")}
    assert hidden <= safelisted


@pytest.mark.parametrize(
    ("setting", "origin"),
    [
        ("", CHAT),
        (CHAT, "https://evil.example"),
        (CHAT, "http://chat.example"),
        (CHAT, "https://chat.example.evil.example"),
        (CHAT, "https://chat.example:8443"),
        (CHAT, "null"),
        ("*", CHAT),  # there is no key
    ],
)
def test_any_other_page_is_told_nothing(
    client_with: Callable[[str], FlaskClient], setting: str, origin: str
) -> None:
    client = client_with(setting)

    assert ALLOW not in ask_before(client, origin).headers
    assert ALLOW not in client.get("/v1/jobs", headers={"Origin": origin}).headers
    assert client.post("/v1/jobs", json=PROMPT, headers={"Origin": origin}).status_code == 403


def test_a_star_allows_every_page_once_there_is_a_key(
    client_with: Callable[[str], FlaskClient], api_keys: ApiKeyStore
) -> None:
    alice = Caller(client := client_with("*"), api_keys, "alice")

    assert ask_before(client, "https://any.example").headers[ALLOW] == "https://any.example"
    answer = alice.ask("POST", "/v1/jobs", headers={"Origin": "null"}, json=PROMPT)
    assert (answer.status_code, answer.headers[ALLOW]) == (202, "null")


def test_an_allowed_page_needs_no_key_where_there_is_none(
    client_with: Callable[[str], FlaskClient],
) -> None:
    headers = {"Origin": CHAT, "Sec-Fetch-Site": "cross-site"}
    answer = client_with(CHAT).post("/v1/jobs", json=PROMPT, headers=headers)
    assert (answer.status_code, answer.headers[ALLOW]) == (202, CHAT)


def test_a_stream_is_readable_as_well(
    client_with: Callable[[str], FlaskClient], bench: Bench
) -> None:
    with bench.serving():
        body = {"messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": 1}
        headers = {"Origin": CHAT}
        answer = client_with(CHAT).post("/v1/chat/completions", json=body, headers=headers)
        assert (answer.status_code, answer.headers[ALLOW]) == (200, CHAT)
        assert "[DONE]" in answer.text


def test_options_without_a_browser_is_as_before(
    client_with: Callable[[str], FlaskClient], api_keys: ApiKeyStore
) -> None:
    assert client_with(CHAT).options("/v1/jobs").status_code == 200
    client = client_with(CHAT)
    Caller(client, api_keys, "alice")
    assert client.options("/v1/jobs").status_code == 401
