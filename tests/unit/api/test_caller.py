"""Whom a key stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from api.app import create_app
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.callers import Caller, code_of


def test_a_job_is_its_callers_tenants(
    client: FlaskClient, api_keys: ApiKeyStore, bench: Bench
) -> None:
    job_id = Caller(client, api_keys, "alice").job()

    assert bench.queue.tenant_of(job_id) == "alice"
    assert bench.queue.get(job_id).request.tenant == "alice"


def test_a_caller_without_a_key_is_the_default_tenant(client: FlaskClient, bench: Bench) -> None:
    job = client.post("/v1/jobs", json={"prompt": "x"}).json
    assert job is not None
    assert bench.queue.tenant_of(job["id"]) == "default"


def test_a_key_counts_before_its_process_has_noticed_that_there_are_keys(
    client: FlaskClient, api_keys: ApiKeyStore, bench: Bench
) -> None:
    assert client.get("/v1/jobs").status_code == 200  # nobody needs a key: believed for a while

    job_id = Caller(client, api_keys, "alice").job()
    assert bench.queue.tenant_of(job_id) == "alice"


def test_a_revoked_key_is_no_key(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice")
    api_keys.revoke(alice.key.id)

    response = alice.submit()
    assert (response.status_code, code_of(response)) == (401, "invalid_api_key")
    # The last key is gone, and the API is not open to all for that.
    assert client.get("/v1/jobs").status_code == 401


def test_a_bearer_is_a_bearer_in_any_case(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    alice = Caller(client, api_keys, "alice")
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {alice.text}"}
        assert client.get("/v1/jobs", headers=headers).status_code == 200


def test_a_key_counts_in_its_own_header_alone(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    text = Caller(client, api_keys, "alice").text

    assert client.get(f"/v1/jobs?api_key={text}").status_code == 401
    assert client.get("/v1/jobs", headers={"X-Api-Key": text}).status_code == 401
    # A browser would send it along when another site's page posts here.
    assert client.get("/v1/jobs", auth=("alice", text)).status_code == 401


def test_an_api_whose_keys_vanished_serves_nobody_beyond_loopback(
    settings: Settings, redis_url: str, bench: Bench, api_keys: ApiKeyStore, redis: Client
) -> None:
    api_keys.create("alice", frozenset(Scope))
    exposed = settings.model_copy(update={"redis_url": redis_url, "host": "0.0.0.0"})
    client = create_app(exposed).test_client()
    services = client.application.extensions["headrace"]
    redis.flushall()
    services.api_keys._is_locked = False  # as in an API that was started anew

    response = client.get("/v1/jobs")
    assert response.status_code == 401
    assert response.json is not None
    assert "no key yet" in response.json["error"]["message"]


def test_where_redis_is_away_no_key_opens_anything(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nobody.sock"})
    client = create_app(nowhere).test_client()

    for headers in ({}, {"Authorization": f"Bearer hr_0123456789ab_{'x' * 43}"}):
        assert client.get("/v1/jobs", headers=headers).status_code == 503
        assert client.get("/v1/models", headers=headers).status_code == 503


@pytest.mark.parametrize("is_valid", [True, False])
def test_the_request_line_names_the_key_and_never_shows_it(
    client: FlaskClient, api_keys: ApiKeyStore, is_valid: bool
) -> None:
    alice = Caller(client, api_keys, "alice")
    if not is_valid:
        api_keys.revoke(alice.key.id)
    with capture_logs() as lines:
        alice.submit()

    (line,) = [line for line in lines if line["event"] == "request answered"]
    named = (alice.key.id, "alice") if is_valid else (None, None)
    assert (line["key_id"], line["tenant"]) == named
    assert alice.text not in str(lines)


def test_no_job_holds_the_key_that_brought_it(
    client: FlaskClient, api_keys: ApiKeyStore, redis: Client, settings: Settings
) -> None:
    alice = Caller(client, api_keys, "alice")
    job = JobQueue(redis, settings).get(alice.job())
    assert alice.text not in repr(job)
