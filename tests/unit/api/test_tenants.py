"""Every route about jobs, asked by another tenant: as if there were none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from tests.bench import Bench
from tests.fakes import make_request
from tests.unit.api.callers import Caller
from tests.unit.core.jobs.steps import bury

BODIES: dict[str, Any] = {"PATCH": {"priority": "batch"}, "POST": {}}


@pytest.fixture
def alice(client: FlaskClient, api_keys: ApiKeyStore) -> Caller:
    return Caller(client, api_keys, "alice")


@pytest.fixture
def bob(client: FlaskClient, api_keys: ApiKeyStore) -> Caller:
    return Caller(client, api_keys, "bob")


@pytest.fixture
def root(client: FlaskClient, api_keys: ApiKeyStore) -> Caller:
    return Caller(client, api_keys, "root", Scope.ADMIN)


def calls(client: FlaskClient, job_id: str) -> Iterator[tuple[str, str]]:
    """Method and address of every route about one job."""
    for rule in client.application.url_map.iter_rules():
        if "job_id" in rule.arguments and rule.rule.startswith("/v1/"):
            path = rule.rule.replace("<job_id>", job_id)
            yield from ((method, path) for method in sorted((rule.methods or set()) - {"OPTIONS"}))


def ask(caller: Caller, method: str, path: str) -> TestResponse:
    return caller.ask(method, path, json=BODIES.get(method))


@pytest.fixture(params=["waiting", "ended", "dead"])
def job_id(request: pytest.FixtureRequest, alice: Caller, bench: Bench) -> str:
    if request.param == "dead":
        bury(bench.queue, make_request("dead-1", tenant="alice"))
        return "dead-1"
    job_id = alice.job()
    if request.param == "ended":
        bench.turn(3)
    return job_id


def test_another_tenants_job_is_answered_like_none(
    client: FlaskClient, bob: Caller, job_id: str
) -> None:
    for method, path in calls(client, job_id):
        theirs, nobodys = ask(bob, method, path), ask(bob, method, path.replace(job_id, "nobody"))
        assert theirs.status_code == 404, (method, path, theirs.text)
        assert theirs.data == nobodys.data, (method, path)
        # The request's own id aside, nothing tells the two apart.
        assert set(theirs.headers.keys()) == set(nobodys.headers.keys())


def test_the_job_is_untouched_by_what_another_tenant_asks(
    client: FlaskClient, bob: Caller, bench: Bench, job_id: str
) -> None:
    before = bench.queue.get(job_id)
    for method, path in calls(client, job_id):
        ask(bob, method, path)
        ask(bob, method, f"{path}?purge=true")
    bob.ask("DELETE", "/v1/dead?older_than_s=0")
    assert bench.queue.get(job_id) == before


def test_its_owner_and_an_administrator_see_it(
    client: FlaskClient, alice: Caller, root: Caller, job_id: str
) -> None:
    for caller in (alice, root):
        assert caller.ask("GET", f"/v1/jobs/{job_id}").status_code == 200


def test_lists_hold_the_callers_own(alice: Caller, bob: Caller, root: Caller, bench: Bench) -> None:
    mine, theirs = alice.job(), bob.job()
    for tenant in ("alice", "bob"):
        bench.queue.cancel(alice.job() if tenant == "alice" else bob.job())

    for path in ("/v1/jobs", "/v1/jobs?state=queued"):
        assert mine in alice.ask("GET", path).text
        assert theirs not in alice.ask("GET", path).text
        assert mine in root.ask("GET", path).text
        assert theirs in root.ask("GET", path).text


def test_a_list_is_filled_up_to_its_limit_behind_the_jobs_of_others(
    alice: Caller, bob: Caller
) -> None:
    mine = [alice.job() for _job in range(3)]
    for _job in range(10):
        bob.job()

    listed = alice.ask("GET", "/v1/jobs?limit=2").json
    assert listed is not None
    assert [job["id"] for job in listed["data"]] == mine[:0:-1]


def test_dead_letters_are_listed_and_purged_by_their_tenant(
    alice: Caller, bob: Caller, root: Caller, bench: Bench
) -> None:
    for name in ("alice", "bob"):
        bury(bench.queue, make_request(f"of-{name}", tenant=name, request_id=f"r-{name}"))

    listed = alice.ask("GET", "/v1/dead?limit=1")
    assert "of-alice" in listed.text
    assert "bob" not in listed.text
    assert alice.ask("DELETE", "/v1/dead?older_than_s=0").json == {"purged": 1}
    assert "of-bob" in bob.ask("GET", "/v1/dead").text
    assert root.ask("DELETE", "/v1/dead?older_than_s=0").json == {"purged": 1}


def test_a_replay_stays_with_its_tenant(
    alice: Caller, bob: Caller, root: Caller, bench: Bench
) -> None:
    bury(bench.queue, make_request("dead-1", tenant="alice"))

    replayed = root.ask("POST", "/v1/dead/dead-1/replay", json={})
    assert replayed.json is not None
    assert alice.ask("GET", f"/v1/jobs/{replayed.json['id']}").status_code == 200
    assert bob.ask("GET", f"/v1/jobs/{replayed.json['id']}").status_code == 404


def test_the_two_answers_of_a_stranger_say_nothing(bob: Caller, alice: Caller) -> None:
    answer = bob.ask("GET", f"/v1/jobs/{alice.job()}")
    assert json.loads(answer.data)["error"]["message"] == "no job with this id"
