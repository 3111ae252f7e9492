"""The files of a real server tell who wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.data_folder import WRITER, log_files, note_writer, writers_of
from headrace.cli.embedded_redis import EmbeddedRedis, prepare_embedded_redis
from headrace.cli.server_version import ServerVersion
from tests.unit.cli.test_embedded_redis import running, short_path

__all__ = ["short_path"]


@pytest.fixture
def written(short_path: Path) -> Iterator[EmbeddedRedis]:
    """A folder that a server wrote to and has left."""
    server = prepare_embedded_redis(short_path)
    with running(server) as (_process, redis):
        redis.set("job", "accepted")
    yield server


def test_a_new_folder_has_no_writer_and_no_log(tmp_path: Path) -> None:
    assert writers_of(tmp_path) == []
    assert log_files(tmp_path) == []


def test_a_folder_without_a_note_is_known_by_its_snapshot(written: EmbeddedRedis) -> None:
    assert writers_of(written.folder) == [written.binary.version]


def test_the_server_that_wrote_last_counts_as_well(written: EmbeddedRedis) -> None:
    newer = ServerVersion(written.binary.version.name, (99, 1))
    note_writer(written.folder, newer)
    assert writers_of(written.folder) == [newer, written.binary.version]


@pytest.mark.parametrize("text", ["", "\x00\x00\x00", "nonsense"])
def test_a_torn_note_or_manifest_is_none(written: EmbeddedRedis, text: str) -> None:
    (written.folder / WRITER).write_text(text)
    assert writers_of(written.folder) == [written.binary.version]
    (written.folder / "appendonlydir" / "appendonly.aof.manifest").write_text(text)
    assert writers_of(written.folder) == []


def test_the_log_is_the_file_of_commands(written: EmbeddedRedis) -> None:
    (log,) = log_files(written.folder)
    assert b"accepted" in log.read_bytes()
