"""What pages of other sites can do to an API without a key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.callers import Caller, code_of

READ = ["/v1/jobs", "/v1/models", "/v1/fleet", "/metrics", "/docs/", "/openapi.json", "/nowhere"]
READ += ["/v1/dead", "/rq/", "/static/x", "/v1/jobs/x/stream", "/rq/0/data/queues.json"]
HEALTH = ["/health", "/healthz", "/readyz"]
EVIL = "http://evil.example"
PROMPT = {"prompt": "hello", "max_tokens": 1}


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def open_api(
    request: pytest.FixtureRequest, settings: Settings, redis_url: str, bench: Bench
) -> Iterator[FlaskClient]:
    """An API that serves whoever comes: of this machine, or as Compose runs it."""
    changes = {"redis_url": redis_url, "host": request.param, "allow_anonymous": True}
    app = create_app(settings.model_copy(update=changes | {"allowed_hosts": "api"}))
    yield app.test_client()
    app.extensions["headrace"].waiters.close()


@pytest.mark.parametrize("path", READ)
def test_by_another_sites_name_nothing_is_read(open_api: FlaskClient, path: str) -> None:
    for host in ("evil.example", "localhost.evil.example:8000"):
        headers = {"Host": host, "X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
        answer = open_api.get(path, headers=headers)
        assert (answer.status_code, code_of(answer)) == (421, "untrusted_host"), answer.text
        assert host in answer.text and "HEADRACE_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize("path", HEALTH)
def test_probes_call_it_as_they_like(open_api: FlaskClient, path: str) -> None:
    assert open_api.get(path, headers={"Host": "pod-1.internal"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "LOCALHOST.", "10.0.0.7", "api"])
def test_its_own_names_are_served(open_api: FlaskClient, host: str) -> None:
    headers = {"Host": host, "X-Forwarded-Host": "evil.example"}
    assert open_api.get("/v1/jobs", headers=headers).status_code == 200
    assert open_api.post("/v1/jobs", json=PROMPT, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": EVIL, "X-Forwarded-Host": "evil.example"},
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data"])
def test_a_page_of_another_site_submits_nothing(
    open_api: FlaskClient, bench: Bench, headers: dict[str, str], kind: str
) -> None:
    for path in ("/v1/jobs", "/v1/chat/completions", "/v1/dead/x/replay"):
        answer = open_api.post(path, data=b'{"prompt":"x"}', content_type=kind, headers=headers)
        assert (answer.status_code, code_of(answer)) == (403, "cross_site_request"), answer.text
        assert "HEADRACE_CORS_ORIGINS" in answer.text
    assert open_api.delete("/v1/dead", headers=headers).status_code == 403
    assert bench.queue.waiting() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "HTTP://LOCALHOST"},
        {"Origin": "https://console.example", "Sec-Fetch-Site": "same-origin"},  # behind a proxy
        {"Sec-Fetch-Site": "none"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},  # curl -d
    ],
)
def test_its_own_pages_and_programs_submit(open_api: FlaskClient, headers: dict[str, str]) -> None:
    answer = open_api.post("/v1/jobs", data=b'{"prompt":"x","max_tokens":1}', headers=headers)
    assert answer.status_code == 202, answer.text


def test_a_key_is_enough_by_any_name_and_from_any_page(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    alice = Caller(client, api_keys, "alice")
    headers = {"Host": "inference.example", "Origin": EVIL, "Sec-Fetch-Site": "cross-site"}

    assert alice.ask("POST", "/v1/jobs", headers=headers, json=PROMPT).status_code == 202
    assert client.get("/v1/jobs", headers=headers).status_code == 401
