"""`headrace repair` on the state folder of an embedded Redis."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.cli.data_folder import log_files
from headrace.cli.embedded_redis import EmbeddedRedis
from headrace.cli.repair import repair
from headrace.cli.state_folder import locked
from headrace.core.errors import StateFolderBusy
from tests.unit.cli.test_embedded_redis import short_path
from tests.unit.cli.test_log_damage import damage, server

__all__ = ["server", "short_path"]


def run(folder: Path, *options: str) -> tuple[int, str]:
    arguments = ["--state-dir", str(folder), *options]
    result = CliRunner().invoke(repair, arguments, catch_exceptions=False)
    return result.exit_code, result.output


def test_a_whole_log_is_left_alone(server: EmbeddedRedis, short_path: Path) -> None:
    code, output = run(short_path, "--yes")
    assert code == 0
    assert "nothing to repair" in output


def test_zeros_are_cut_and_a_copy_is_named(server: EmbeddedRedis, short_path: Path) -> None:
    log = damage(server, bytes(100))
    size = log.stat().st_size
    code, output = run(short_path, "--yes")

    assert code == 0
    assert "100 zeros" in output
    assert log.stat().st_size == size - 100
    (backup,) = server.folder.glob("appendonlydir-*")
    assert str(backup) in output
    assert (backup / log.name).stat().st_size == size


def test_without_a_yes_nothing_is_cut(server: EmbeddedRedis, short_path: Path) -> None:
    log = damage(server, bytes(100))
    size = log.stat().st_size
    code, output = run(short_path)

    assert code == 2
    assert "add --yes" in output
    assert log.stat().st_size == size


def test_the_folder_of_a_running_deployment_is_refused(
    server: EmbeddedRedis, short_path: Path
) -> None:
    damage(server, bytes(100))
    with locked(short_path), pytest.raises(StateFolderBusy):
        run(short_path, "--yes")
    assert log_files(server.folder)[0].read_bytes().endswith(bytes(100))
