"""A user of Redis with the least rights, which docs/operations.md names, and users with fewer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.exceptions import RedisError

from api.app import create_app
from headrace.cli.deployment_redis import open_redis
from headrace.cli.redis_ping import require_answer
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect, require_durable
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.errors import Unavailable
from headrace.core.leadership import Leadership
from headrace.core.readings.overview import Reader as TopReader
from headrace.core.redis_errors import cause_of
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.callers import Caller

GUIDE = Path(__file__).parents[3] / "docs" / "operations.md"
RIGHTS = re.search(r"ACL SETUSER headrace on >PASSWORD (.+)", GUIDE.read_text())


class User(NamedTuple):
    url: str
    redis: Client

    def may(self, *rules: str) -> None:
        """Gives the documented rights, and then applies the rules."""
        assert RIGHTS is not None
        start = ("reset", "on", ">PASSWORD", *RIGHTS[1].split())
        self.redis.execute_command("ACL", "SETUSER", "headrace", *start, *rules)


@pytest.fixture
def user(redis: Client, redis_url: str) -> Iterator[User]:
    found = User(redis_url.replace("unix://", "unix://headrace:PASSWORD@"), redis)
    found.may()
    yield found
    redis.execute_command("ACL", "DELUSER", "headrace")


def test_the_documented_rights_are_enough(user: User, settings: Settings) -> None:
    """For API, worker, scaler, monitor and the command line; no command is denied meanwhile."""
    user.redis.execute_command("ACL", "LOG", "RESET")
    own = settings.model_copy(update={"redis_url": user.url})
    redis = connect(user.url, WORKER_TIMEOUT_S)
    require_answer(redis, user.url)
    require_durable(redis)
    bench = Bench(redis, own)
    app = create_app(own)
    client, keys = app.test_client(), ApiKeyStore(redis)
    with bench.serving():
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/jobs", json={"prompt": "x", "max_tokens": 1}).status_code == 202
        alice = Caller(client, keys, "alice", requests_per_minute=9, tokens_per_minute=900)
        root = Caller(client, keys, "root", Scope.ADMIN)
        headers = {"Idempotency-Key": "k", "Prefer": "wait=5"}
        done = alice.ask("POST", "/v1/jobs", headers, json={"prompt": "x", "max_tokens": 2})
        assert (done.status_code, done.json and done.json["status"]) == (200, "succeeded")
        job_id = str(done.json["id"]) if done.json else ""
        assert b"end" in alice.ask("GET", f"/v1/jobs/{job_id}/stream").data
        for path in (f"/v1/jobs/{job_id}/timeline", "/v1/jobs", "/v1/dead", "/v1/models"):
            assert alice.ask("GET", path).status_code == 200
        for path in ("/v1/fleet", "/metrics", "/rq/0/data/queues.json", "/rq/0/data/workers.json"):
            assert root.ask("GET", path).status_code == 200
    waiting = alice.job(deadline_s=60)
    assert alice.ask("PATCH", f"/v1/jobs/{waiting}", json={"priority": "batch"}).status_code == 200
    assert alice.ask("DELETE", f"/v1/jobs/{waiting}").status_code == 200
    assert Leadership(redis, own, "scaler-1", 10.0).take()
    DesiredFleet(redis, own).fix(1)
    bench.leases.sweep()
    TopReader(redis, own).read()
    app.extensions["headrace"].waiters.close()

    denied = user.redis.execute_command("ACL", "LOG", "100")
    assert [entry for entry in denied if entry[b"username"] == b"headrace"] == []


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (("-info",), "the command INFO"),
        (("-subscribe",), "the command SUBSCRIBE"),
        (("resetchannels",), "a channel; it needs &rq:* and &headrace:*"),
        (("resetchannels", "&headrace:*"), "a channel; it needs &rq:* and &headrace:*"),
    ],
)
def test_a_right_that_is_missing_is_named_at_the_start(
    user: User, rules: tuple[str, ...], named: str
) -> None:
    user.may(*rules)
    with pytest.raises(Unavailable) as refused:
        require_durable(connect(user.url, WORKER_TIMEOUT_S))
    for part in ("REDIS_URL", named, "docs/operations.md"):
        assert part in str(refused.value)
    assert "does not answer" not in str(refused.value)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (("-evalsha",), "the command EVALSHA"),
        (("resetkeys", "~rq:*"), "a key; it needs ~rq:* and ~headrace:*"),
        (("-@write",), "the command"),
        (("-hset",), "the command HSET"),
    ],
)
def test_the_api_names_it_as_well(
    user: User, settings: Settings, rules: tuple[str, ...], named: str
) -> None:
    own = settings.model_copy(update={"redis_url": user.url})
    Bench(user.redis, settings)
    app = create_app(own)
    user.may(*rules)
    answer = app.test_client().post("/v1/jobs", json={"prompt": "x", "max_tokens": 1})
    app.extensions["headrace"].waiters.close()

    assert answer.status_code == 503
    assert f"denies its user a right: {named}" in answer.text


def test_the_command_line_names_it_as_well(user: User, settings: Settings) -> None:
    user.may("resetkeys", "~rq:*")
    own = settings.model_copy(update={"redis_url": user.url})
    with pytest.raises(Unavailable, match="denies its user a right: a key"), open_redis(own) as it:
        TopReader(it, own).read()


def test_a_cause_names_what_is_denied_whatever_the_words_of_the_server(user: User) -> None:
    redis = connect(user.url, WORKER_TIMEOUT_S)
    for call in (redis.config_get, redis.flushall, lambda: redis.get("other")):
        with pytest.raises(RedisError) as denied:
            call()
        assert "denies its user a right: " in cause_of(denied.value)
