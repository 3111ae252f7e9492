"""What a power loss leaves at the end of the log is found, cut off, and costs no whole command."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.data_folder import log_files
from headrace.cli.embedded_redis import EmbeddedRedis, prepare_embedded_redis
from headrace.cli.log_damage import cut, find_damage
from headrace.cli.process import SessionProcess
from tests.unit.cli.test_embedded_redis import running, short_path
from tests.waiting import eventually

__all__ = ["short_path"]

KEYS = 50
HALF = b"*3\r\n$3\r\nSET\r\n$4\r\nlate\r\n$100\r\nhal"
OPEN = b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$4\r\nlate\r\n$1\r\nx\r\n"
TAILS = {
    "zeros": bytes(5000),
    "one zero": b"\x00",
    "half a command": HALF,
    "half a command and zeros": HALF + bytes(4096),
    "an open transaction and zeros": OPEN + bytes(64),
    "an old block": random.Random(1).randbytes(4096),
    "text": b"GET late\r\n" * 20,
    "a command with a wrong length": b"*2\r\n$99999999\r\nGET\r\n$1\r\nx\r\n",
    "a line without end": b"*" + b"1" * 5000,
}


@pytest.fixture
def server(short_path: Path) -> Iterator[EmbeddedRedis]:
    """Has written keys, a transaction, a binary value and an empty one, and was killed."""
    server = prepare_embedded_redis(short_path)
    with running(server) as (_process, redis):
        for number in range(KEYS):
            redis.set(f"key-{number}", f"*1\r\n${number}\r\n")
        with redis.pipeline(transaction=True) as pipeline:
            pipeline.set("binary", bytes(range(256)) * 8)
            pipeline.set("empty", "")
            pipeline.execute()
    yield server


def damage(server: EmbeddedRedis, tail: bytes) -> Path:
    (log,) = log_files(server.folder)
    with log.open("ab") as file:
        file.write(tail)
    return log


def test_a_whole_log_is_not_damaged(server: EmbeddedRedis) -> None:
    assert find_damage(server.folder) is None


def test_a_new_folder_is_not_damaged(tmp_path: Path) -> None:
    assert find_damage(tmp_path) is None


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_a_damaged_tail_is_cut_and_the_rest_is_kept(server: EmbeddedRedis, tail: bytes) -> None:
    (log,) = log_files(server.folder)
    whole = log.read_bytes()
    damage(server, tail)

    found = find_damage(server.folder)
    assert found is not None
    assert (found.whole, found.size) == (len(whole), len(whole) + len(tail))
    assert found.is_zeros is (not any(tail))
    backup = cut(server.folder, found)

    assert log.read_bytes() == whole
    assert (backup / log.name).read_bytes() == whole + tail
    assert find_damage(server.folder) is None
    with running(server) as (_process, redis):
        assert redis.dbsize() == KEYS + 2
        assert redis.get("late") is None
        assert redis.get("binary") == bytes(range(256)) * 8


def test_a_server_that_zeros_stop_says_what_helps_and_nothing_that_destroys(
    server: EmbeddedRedis,
) -> None:
    damage(server, bytes(4096))
    process = SessionProcess(server.command(), os.environ)
    eventually(lambda: process.exit_code() is not None)

    assert "check-aof" in server.log_path.read_text()
    assert "check-aof" not in server.last_log_lines()
    assert "Bad file format" in server.last_log_lines()
    assert "4,096 zeros" in server.why_it_ended()
    assert "`headrace repair`" in server.why_it_ended()


def test_a_log_of_which_nothing_is_whole_is_cut_to_nothing(server: EmbeddedRedis) -> None:
    (log,) = log_files(server.folder)
    log.write_bytes(bytes(100))
    found = find_damage(server.folder)
    assert found is not None
    assert (found.whole, found.is_zeros) == (0, True)
