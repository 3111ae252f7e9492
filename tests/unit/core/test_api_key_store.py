"""The key store on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.exceptions import RedisError

from headrace.core.api_key import Limits, Scope, digest_of
from headrace.core.api_key_store import CACHE_S, ApiKeyStore
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.errors import ApiKeyNotFound
from headrace.core.jobs import keys
from tests.fakes import FakeClock
from tests.waiting import eventually

READ = frozenset({Scope.READ})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(redis: Client, clock: FakeClock) -> ApiKeyStore:
    """As the API has it, which reads."""
    return ApiKeyStore(redis, clock)


@pytest.fixture
def elsewhere(redis: Client) -> ApiKeyStore:
    """As the command line has it, in another process."""
    return ApiKeyStore(redis)


def test_a_key_is_found_by_its_text(store: ApiKeyStore, elsewhere: ApiKeyStore) -> None:
    text, key = elsewhere.create("alice", READ, limits=Limits(running_jobs=3))

    assert store.find(text) == key
    assert (key.name, key.tenant, key.scopes) == ("alice", "alice", READ)
    assert key.limits == Limits(running_jobs=3)


def test_a_key_without_a_name_is_called_by_its_id(elsewhere: ApiKeyStore) -> None:
    _text, key = elsewhere.create("", READ)
    assert key.name == key.tenant == key.id


def test_redis_holds_digests_and_no_key(redis: Client, elsewhere: ApiKeyStore) -> None:
    text, key = elsewhere.create("alice", READ)

    stored = redis.hgetall(keys.API_KEYS)
    assert digest_of(text).encode() in stored[key.id.encode()]
    assert not any(text.encode() in value for value in stored.values())


def test_the_right_id_with_another_secret_is_no_key(
    store: ApiKeyStore, elsewhere: ApiKeyStore
) -> None:
    text, key = elsewhere.create("alice", READ)
    other, _key = elsewhere.create("bob", READ)

    assert store.find(f"hr_{key.id}_{other[-43:]}") is None
    assert store.find(text) == key


def test_a_key_is_read_in_one_round_trip_and_then_remembered(
    store: ApiKeyStore, elsewhere: ApiKeyStore, redis: Client, clock: FakeClock
) -> None:
    text, key = elsewhere.create("alice", READ)
    store.find(text)
    redis.hdel(keys.API_KEYS, key.id)

    clock.sleep(CACHE_S / 2)
    assert store.find(text) == key
    clock.sleep(CACHE_S / 2)
    assert store.find(text) is None


def test_a_revoked_key_opens_nothing_a_few_seconds_later(
    store: ApiKeyStore, elsewhere: ApiKeyStore, clock: FakeClock
) -> None:
    text, key = elsewhere.create("alice", READ)
    assert store.find(text)

    elsewhere.revoke(key.id)

    clock.sleep(CACHE_S)
    assert store.find(text) is None
    assert elsewhere.list() == []


@pytest.mark.parametrize("key_id", ["0123456789ab", keys.LOCKED])
def test_what_is_no_key_cannot_be_revoked(store: ApiKeyStore, key_id: str) -> None:
    store.create("alice", READ)

    with pytest.raises(ApiKeyNotFound):
        store.revoke(key_id)
    assert store.is_locked()


def test_a_key_is_none_once_it_has_expired(store: ApiKeyStore, elsewhere: ApiKeyStore) -> None:
    text, key = elsewhere.create("alice", READ, expires_in_s=0.05)

    eventually(lambda: ApiKeyStore(store._redis).find(text) is None)
    assert [each.id for each in elsewhere.list()] == [key.id]


def test_a_key_is_not_remembered_beyond_its_end(
    store: ApiKeyStore, elsewhere: ApiKeyStore, clock: FakeClock, redis: Client
) -> None:
    text, key = elsewhere.create("alice", READ, expires_in_s=CACHE_S / 2)
    assert store.find(text) == key
    redis.hdel(keys.API_KEYS, key.id)

    clock.sleep(CACHE_S / 2)
    assert store.find(text) is None


def test_keys_are_listed_newest_first(elsewhere: ApiKeyStore) -> None:
    for name in ("a", "b", "c"):
        elsewhere.create(name, READ)
    assert [key.name for key in elsewhere.list()] == ["c", "b", "a"]


def test_the_first_key_locks_and_revoking_the_last_does_not_unlock(
    store: ApiKeyStore, elsewhere: ApiKeyStore, clock: FakeClock
) -> None:
    assert not store.is_locked()
    _text, key = elsewhere.create("alice", READ)
    clock.sleep(CACHE_S)
    assert store.is_locked()

    elsewhere.revoke(key.id)

    assert store.is_locked()
    assert ApiKeyStore(store._redis).is_locked()


def test_without_redis_nothing_is_said_of_a_key(tmp_path: Path) -> None:
    nowhere = ApiKeyStore(connect(f"unix://{tmp_path}/nobody.sock", API_TIMEOUT_S))

    with pytest.raises(RedisError):
        nowhere.is_locked()
    with pytest.raises(RedisError):
        nowhere.find("hr_0123456789ab_" + "x" * 43)
