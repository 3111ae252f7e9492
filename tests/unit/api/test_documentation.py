"""The page that renders the OpenAPI document."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from tests.unit.api.callers import Caller

LINK = re.compile(r'(?:src|href)="([^"]*)"')


def test_the_page_and_all_that_it_loads_come_from_here(client: FlaskClient) -> None:
    page = client.get("/docs/")

    assert page.status_code == 200
    links = LINK.findall(page.text)
    assert "/docs/swagger-ui-bundle.js" in links
    for link in links:
        assert link.startswith("/docs/")
        with client.get(link) as part:
            assert part.status_code == 200
    assert '"url": "/openapi.json"' in page.text
    assert '"validatorUrl": null' in page.text


def test_the_page_may_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    policy = client.get("/docs/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy


def test_its_address_may_lack_the_last_slash(client: FlaskClient) -> None:
    assert client.get("/docs", follow_redirects=True).status_code == 200


def test_a_browser_logs_in_with_a_key_that_may_read(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    reader = Caller(client, api_keys, "alice", Scope.READ)
    submitter = Caller(client, api_keys, "bob", Scope.SUBMIT)

    for path in ("/docs/", "/docs/index.css", "/openapi.json"):
        asked = client.get(path)
        assert asked.status_code == 401
        assert asked.headers["WWW-Authenticate"].startswith("Basic ")
        for text, status in ((reader.text, 200), (submitter.text, 403)):
            with client.get(path, auth=("anybody", text)) as answer:
                assert answer.status_code == status
        with reader.ask("GET", path) as answer:
            assert answer.status_code == 200


def test_a_password_opens_nothing_else(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    reader = Caller(client, api_keys, "alice", Scope.READ)
    assert client.get("/v1/jobs", auth=("anybody", reader.text)).status_code == 401
