from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.errors import SettingsError
from headrace.core.exposure import is_loopback, require_lock
from headrace.core.settings import Settings

OPEN_HOSTS = ["0.0.0.0", "::", "192.168.1.5", "inference.example"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_is_loopback(host: str, redis: Client) -> None:
    assert is_loopback(host)
    require_lock(Settings(host=host), ApiKeyStore(redis))


@pytest.mark.parametrize("host", OPEN_HOSTS)
def test_without_a_key_nothing_else_is_served(host: str, redis: Client) -> None:
    assert not is_loopback(host)
    with pytest.raises(SettingsError) as refused:
        require_lock(Settings(host=host), ApiKeyStore(redis))
    for way_out in ("headrace keys create", "HEADRACE_ALLOW_ANONYMOUS", host):
        assert way_out in str(refused.value)


@pytest.mark.parametrize("host", OPEN_HOSTS)
def test_with_a_key_or_on_demand_it_is(host: str, redis: Client) -> None:
    require_lock(Settings(host=host, allow_anonymous=True), ApiKeyStore(redis))
    ApiKeyStore(redis).create("alice", frozenset(Scope))
    require_lock(Settings(host=host), ApiKeyStore(redis))


def test_a_redis_that_is_away_does_not_keep_the_api_from_starting(tmp_path: Path) -> None:
    nowhere = connect(f"unix://{tmp_path}/nobody.sock", API_TIMEOUT_S)
    require_lock(Settings(host="0.0.0.0"), ApiKeyStore(nowhere))
