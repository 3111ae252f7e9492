"""Which server reads whose files."""

from __future__ import annotations

import pytest

from headrace.cli.server_version import ServerVersion


def version(text: str) -> ServerVersion:
    found = ServerVersion.of_text(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("reader", "writer", "reads"),
    [
        ("Valkey 9.0", "Valkey 9.0", True),
        ("Valkey 9.1", "Valkey 8.1", True),
        ("Valkey 8.1", "Valkey 9.0", False),
        ("Redis 10.0", "Redis 7.4", True),
        ("Redis 7.0", "Redis 7.2", False),
        ("Redis 7.0", "Valkey 9.0", False),
        ("Redis 8.2", "Valkey 9.0", False),
        ("Redis 7.2", "Valkey 8.1", True),
        ("Redis 7.0", "Valkey 7.2", False),
        ("Valkey 9.0", "Redis 7.2", True),
        ("Valkey 9.0", "Redis 7.0", True),
        ("Valkey 9.0", "Redis 7.4", False),
    ],
)
def test_a_server_reads_what_is_not_newer_and_of_its_kind(
    reader: str, writer: str, reads: bool
) -> None:
    assert version(reader).reads(version(writer)) is reads


def test_a_version_is_read_as_it_was_written() -> None:
    assert version(str(version("Valkey 9.10"))).number == (9, 10)


@pytest.mark.parametrize("text", ["", "Valkey", "KeyDB 7.0", "Redis 7", "\x00\x00"])
def test_a_note_that_nobody_understands_is_no_version(text: str) -> None:
    assert ServerVersion.of_text(text) is None
