from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.cli.embedded_redis import (
    SOCKET_PATH_BYTES,
    EmbeddedRedis,
    prepare_embedded_redis,
    socket_path_of,
)
from headrace.cli.process import SessionProcess
from headrace.cli.redis_binary import find_redis_binary
from headrace.cli.redis_ping import answers_ping
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect
from headrace.core.errors import SettingsError, StateFolderBusy
from tests.unit.cli.fakes import FakeClock
from tests.waiting import eventually


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder near the root: those of pytest can be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="hr", dir="/tmp") as folder:
        yield Path(folder)


@contextmanager
def running(server: EmbeddedRedis) -> Iterator[tuple[SessionProcess, Client]]:
    process = SessionProcess(server.command(), os.environ)
    client = connect(server.url, WORKER_TIMEOUT_S)
    try:
        eventually(lambda: answers_ping(client))
        yield process, client
    finally:
        client.connection_pool.disconnect()
        process.kill()


def end(process: SessionProcess, sent: signal.Signals) -> None:
    os.kill(process.pid, sent)
    eventually(lambda: process.exit_code() is not None)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_data_survives_a_restart(short_path: Path, sent: signal.Signals) -> None:
    server = prepare_embedded_redis(short_path)
    with running(server) as (process, redis):
        redis.set("job", "accepted")
        end(process, sent)
    with running(server) as (_process, redis):
        assert redis.get("job") == b"accepted"


def test_only_this_user_may_connect(short_path: Path) -> None:
    server = prepare_embedded_redis(short_path)
    with running(server):
        assert server.socket_path.stat().st_mode & 0o777 == 0o700
        assert server.folder.stat().st_mode & 0o777 == 0o700


def test_it_listens_on_no_port_and_throws_nothing_away(short_path: Path) -> None:
    with running(prepare_embedded_redis(short_path)) as (_process, redis):
        config = redis.config_get("port", "maxmemory-policy", "appendonly", "appendfsync", "save")
    assert config == {
        "port": "0",
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }


def test_a_folder_with_odd_characters_serves_as_well(short_path: Path) -> None:
    state = short_path / 'my "state" %20 ü#?'
    with running(prepare_embedded_redis(state)) as (_process, redis):
        assert redis.ping()


def test_the_socket_is_beside_the_data_where_its_path_is_short_enough(short_path: Path) -> None:
    server = prepare_embedded_redis(short_path)
    assert server.socket_path == short_path / "redis" / "redis.sock"


def test_a_long_state_folder_has_its_socket_elsewhere(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    server = prepare_embedded_redis(short_path / ("long" * 30))
    assert len(os.fsencode(server.socket_path)) <= SOCKET_PATH_BYTES
    assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700
    with running(server) as (_process, redis):
        assert redis.config_get("dir")["dir"] == str(server.folder)


def test_the_longest_path_that_fits_is_kept(short_path: Path) -> None:
    room = SOCKET_PATH_BYTES - len(os.fsencode(short_path / "redis.sock")) - 1
    folder = short_path / ("x" * room)
    server = EmbeddedRedis(find_redis_binary(), folder, socket_path_of(folder))
    assert server.socket_path == folder / "redis.sock"
    assert len(os.fsencode(server.socket_path)) == SOCKET_PATH_BYTES
    folder.mkdir()
    with running(server) as (_process, redis):
        assert redis.ping()


def test_two_long_state_folders_have_two_sockets(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    sockets = {socket_path_of(short_path / ("long" * 30) / name) for name in ("a", "b")}
    assert len(sockets) == 2


def test_a_socket_folder_that_others_may_enter_is_refused(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    planted = short_path / f"headrace-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    with pytest.raises(SettingsError, match=str(planted)):
        socket_path_of(short_path / ("long" * 30))


def test_a_planted_link_is_refused(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    (short_path / "elsewhere").mkdir(mode=0o700)
    planted = short_path / f"headrace-{os.getuid()}"
    planted.symlink_to(short_path / "elsewhere")
    with pytest.raises(SettingsError, match=str(planted)):
        socket_path_of(short_path / ("long" * 30))


def test_no_room_for_a_socket_anywhere_is_said(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_path / ("deep" * 30)))
    with pytest.raises(SettingsError, match="too long for a socket"):
        socket_path_of(short_path / ("long" * 30))


def test_a_server_of_an_earlier_run_is_named(short_path: Path) -> None:
    server = prepare_embedded_redis(short_path)
    with (
        running(server) as (process, _redis),
        pytest.raises(StateFolderBusy, match=rf"earlier run \(pid {process.pid}\)"),
    ):
        server.wait_for_earlier_server(FakeClock())


def test_a_server_of_an_earlier_run_may_take_a_moment_to_end(short_path: Path) -> None:
    server, clock = prepare_embedded_redis(short_path), FakeClock()
    with running(server) as (process, _redis):
        clock.after(3, lambda: end(process, signal.SIGTERM))
        server.wait_for_earlier_server(clock)
        assert clock.now() < 1010


def test_the_socket_of_a_killed_server_is_in_nobodys_way(short_path: Path) -> None:
    server, clock = prepare_embedded_redis(short_path), FakeClock()
    with running(server) as (process, _redis):
        end(process, signal.SIGKILL)
    assert server.socket_path.exists()
    server.wait_for_earlier_server(clock)
    assert clock.now() == 1000


def test_the_end_of_the_log_is_at_hand(short_path: Path) -> None:
    server = prepare_embedded_redis(short_path)
    assert server.last_log_lines() == ""
    server.log_path.write_text("one\ntwo\nthree\n")
    assert server.last_log_lines(2) == "  two\n  three"
