"""The commands that show a deployment, with a URL and a key instead of its Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from headrace.cli.main import cli
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.readings.alert import Alert
from headrace.core.readings.overview import Overview, Reader
from headrace.core.readings.slo import SloReading
from headrace.core.readings.slo import read as read_slo
from headrace.core.readings.wire import as_json, from_json
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from tests.bench import Bench
from tests.fakes import make_request
from tests.unit.api.conftest import api_keys, bench, client  # noqa: F401

COMMANDS = ["top --once", "top --json", "slo", "slo --json", "scaler status", "scaler log"]


@pytest.fixture
def busy(redis: Client, settings: Settings, bench: Bench) -> None:  # noqa: F811
    """A deployment of which every part of a reading has something to say."""
    bench.worker.start()
    bench.submit(make_request("done", max_tokens=2), make_request("broken", max_tokens=1000))
    bench.turn(3)
    bench.worker.teardown()
    bench.submit(make_request("waiting"))
    stats = EngineStats(running=1, slots=8, steps=10, rows=25, busy_s=2.0)
    beat = WorkerState("worker-9", "draining", 1, "torch", stats, features=("logprobs",), age_s=9.0)
    roster = Roster(redis, ttl_s=60)
    roster.beat(beat)
    roster.announce("worker-10", age_s=4.0)
    DesiredFleet(redis, settings).muster(2)
    leadership = Leadership(redis, settings, "scaler-here", 60.0)
    leadership.take()
    record = Record(1.0, 2, 2, "two suffice", flags=("holds",), reading={"waiting": 1})
    assert leadership.order(2, [], record)
    alert = Alert("HeadraceDegraded", "ticket", "slow", "twice as slow", 1.0)
    redis.hset(keys.ALERTS, alert.name, alert.encode())


@pytest.fixture
def url(client: FlaskClient) -> Iterator[str]:  # noqa: F811
    """The API, over HTTP."""
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(command: str, *options: str, **variables: str) -> str:
    result = CliRunner(env=variables).invoke(cli, [*command.split(), *options])
    assert result.exception is None, (result.output, result.exception)
    lines = result.output.splitlines(keepends=True)  # the API runs in this process, and logs
    return "".join(line for line in lines if "request answered" not in line)


def lasting(text: str) -> Any:
    """What two looks shortly one after the other have in common."""
    words = text.split()
    return [word for word in words if not any(each.isdigit() for each in word)]


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("command", COMMANDS)
def test_by_the_api_a_command_shows_what_it_shows_by_redis(
    redis_url: str,
    url: str,
    api_keys: ApiKeyStore,  # noqa: F811
    command: str,
) -> None:
    api_keys.create("user", frozenset({Scope.SUBMIT, Scope.READ}))
    key, _key = api_keys.create("watcher", frozenset({Scope.FLEET}))
    by_redis = run(command, "--redis-url", redis_url)
    by_api = run(command, "--url", url, "--api-key", key)

    assert by_redis.strip()
    assert lasting(by_api) == lasting(by_redis)
    assert run(command, HEADRACE_URL=url, HEADRACE_API_KEY=key).strip()
    if "--json" in command:
        assert json.loads(by_api).keys() == json.loads(by_redis).keys()


@pytest.mark.usefixtures("busy")
def test_a_reading_is_the_same_behind_the_wire(redis: Client, settings: Settings) -> None:
    for reading in (Reader(redis, settings).read(), read_slo(redis, settings)):
        wire = json.loads(json.dumps(as_json(reading)))
        back = from_json(type(reading), wire | {"of_a_later_version": 1})
        assert as_json(back) == as_json(reading)
        assert isinstance(back, Overview | SloReading)


@pytest.mark.parametrize("path", ["overview", "slo", "decisions"])
def test_the_scope_opens_the_fleet_and_nothing_else(
    client: FlaskClient,  # noqa: F811
    api_keys: ApiKeyStore,  # noqa: F811
    path: str,
) -> None:
    statuses = {}
    for scope in Scope:
        text, _key = api_keys.create(scope.name.lower(), frozenset({scope}))
        headers = {"Authorization": f"Bearer {text}"}
        statuses[scope] = client.get(f"/v1/fleet/{path}", headers=headers).status_code
        if scope is Scope.FLEET:
            assert client.get("/v1/fleet", headers=headers).status_code == 200
            for other in ("/v1/jobs", "/v1/dead", "/v1/models", "/rq/", "/docs/"):
                assert client.get(other, headers=headers).status_code == 403, other
            assert client.post("/v1/jobs", json={}, headers=headers).status_code == 403
    assert statuses == {Scope.SUBMIT: 403, Scope.READ: 403, Scope.FLEET: 200, Scope.ADMIN: 200}


def test_a_key_without_the_scope_is_told_which_it_needs(
    url: str,
    api_keys: ApiKeyStore,  # noqa: F811
) -> None:
    key, _key = api_keys.create("alice", frozenset({Scope.READ}))
    result = CliRunner().invoke(cli, ["top", "--once", "--url", url, "--api-key", key])
    assert "fleet:read" in str(result.exception)


def test_an_api_and_a_redis_are_not_both_asked(url: str) -> None:
    words = ["slo", "--url", url, "--redis-url", "redis://127.0.0.1:1"]
    result = CliRunner().invoke(cli, words)
    assert (result.exit_code, "--url" in result.output) == (2, True)


def test_a_redis_that_is_named_wins_over_a_variable_with_an_api(redis_url: str) -> None:
    elsewhere = {"HEADRACE_URL": "http://127.0.0.1:1"}
    assert "wait" in run("top --once", "--redis-url", redis_url, **elsewhere)
    assert "wait" in run("top --once", REDIS_URL=redis_url, **elsewhere)
