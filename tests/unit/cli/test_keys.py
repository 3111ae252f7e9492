"""`headrace keys` on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.core.api_key import Limits, Scope, id_of
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import Client
from headrace.core.errors import ApiKeyNotFound, Unavailable


@pytest.fixture
def store(redis: Client) -> ApiKeyStore:
    return ApiKeyStore(redis)


@pytest.fixture
def keys(redis_url: str, redis: Client) -> KeysCommand:
    return KeysCommand(redis_url)


class KeysCommand:
    def __init__(self, redis_url: str) -> None:
        self._environment = {"REDIS_URL": redis_url}

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["keys", *arguments], env=self._environment)


def test_a_new_key_is_printed_alone_and_works(keys: KeysCommand, store: ApiKeyStore) -> None:
    made = keys("create", "--name", "alice")

    text = made.stdout.strip()
    key = store.find(text)
    assert key is not None
    assert (key.name, key.tenant, key.limits) == ("alice", "alice", Limits())
    assert key.scopes == {Scope.SUBMIT, Scope.READ}
    assert "only now" in made.stderr
    assert text not in made.stderr


def test_a_key_gets_what_its_options_say(keys: KeysCommand, store: ApiKeyStore) -> None:
    limits = ["--requests-per-minute", "60", "--tokens-per-minute", "9000"]
    limits += ["--running-jobs", "5", "--queue-share", "0.25"]
    options = ["--name", "ci 1", "--tenant", "ci", "--scope", "submit", "--expires-in", "2h"]

    key = store.find(keys("create", *options, *limits).stdout.strip())

    assert key is not None
    assert (key.name, key.tenant, key.scopes) == ("ci 1", "ci", {Scope.SUBMIT})
    assert key.limits == Limits(60, 9000, 5, 0.25)
    assert key.expires is not None
    assert key.expires - key.created == pytest.approx(7200)


def test_scopes_add_up(keys: KeysCommand, store: ApiKeyStore) -> None:
    text = keys("create", "--scope", "read", "--scope", "admin").stdout.strip()
    key = store.find(text)
    assert key is not None
    assert key.scopes == {Scope.READ, Scope.ADMIN}


def test_json_holds_the_key_once_and_never_its_digest(keys: KeysCommand) -> None:
    made = json.loads(keys("create", "--name", "alice", "--json").stdout)
    assert id_of(made["key"]) == made["id"]
    assert "digest" not in made

    listed = json.loads(keys("list", "--json").stdout)
    assert listed["data"] == [{name: made[name] for name in made if name != "key"}]


@pytest.mark.parametrize(
    "options",
    [
        ["--name", "two words"],
        ["--name", "a\nb"],
        ["--name", "x" * 101, "--tenant", "x"],
        ["--tenant", "a:b"],
        ["--scope", "all"],
        ["--running-jobs", "0"],
        ["--queue-share", "0"],
        ["--queue-share", "1.5"],
        ["--expires-in", "soon"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    keys: KeysCommand, store: ApiKeyStore, options: list[str]
) -> None:
    assert keys("create", *options).exit_code == 2
    assert store.list() == []


def test_keys_are_rows_of_a_table(keys: KeysCommand) -> None:
    assert keys("list").stdout == "no keys\n"
    text = keys("create", "--name", "alice", "--running-jobs", "5").stdout.strip()

    header, row = keys("list").stdout.splitlines()
    assert header.split()[:4] == ["id", "name", "tenant", "scopes"]
    assert row.split()[:3] == [id_of(text), "alice", "alice"]
    assert "5 jobs" in row
    assert "never" in row
    assert text not in row


def test_a_revoked_key_is_gone(keys: KeysCommand, store: ApiKeyStore) -> None:
    text = keys("create", "--name", "alice").stdout.strip()
    keys("create", "--name", "bob")

    revoked = keys("revoke", id_of(text) or "")

    assert revoked.stdout == f"{id_of(text)} revoked\n"
    assert revoked.stderr == ""
    assert store.find(text) is None
    assert [key.name for key in store.list()] == ["bob"]


def test_revoking_the_last_key_says_what_that_means(keys: KeysCommand) -> None:
    text = keys("create").stdout.strip()
    assert "nobody" in keys("revoke", id_of(text) or "").stderr


def test_an_unknown_key_cannot_be_revoked(keys: KeysCommand) -> None:
    assert isinstance(keys("revoke", "0123456789ab").exception, ApiKeyNotFound)


def test_without_a_redis_it_says_what_to_do(tmp_path: Path) -> None:
    failure = CliRunner().invoke(cli, ["keys", "list", "--state-dir", str(tmp_path)]).exception
    assert isinstance(failure, Unavailable)
    assert "headrace up" in str(failure)
