"""The files of the embedded Redis: who wrote them, and which hold its log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from headrace.cli.server_version import ServerVersion

WRITER = "writer"
"""File that names the server which wrote to the folder last."""

LOG_FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"

HEADER_BYTES = 512
_STAMP = re.compile(rb"(redis|valkey)-ver[\x01-\x3f](\d+)\.(\d+)")
"""The field of a snapshot's header that names its writer: key, length and version."""


def writers_of(folder: Path) -> Sequence[ServerVersion]:
    """The servers whose files a new server has to read: the last one, and that of the snapshot."""
    return [writer for writer in (_noted(folder), _of_snapshot(folder)) if writer is not None]


def note_writer(folder: Path, server: ServerVersion) -> None:
    """Remembers who writes to the folder from now on."""
    (folder / WRITER).write_text(f"{server}\n")


def log_files(folder: Path) -> Sequence[Path]:
    """The append-only files with commands, in their order; none in a new folder."""
    return [folder / LOG_FOLDER / name for name, kind in _manifest(folder) if kind == "i"]


def _noted(folder: Path) -> ServerVersion | None:
    try:
        return ServerVersion.of_text((folder / WRITER).read_text(errors="replace"))
    except OSError:
        return None


def _of_snapshot(folder: Path) -> ServerVersion | None:
    """As the header of the log's base says; a folder of an earlier Headrace has no other note."""
    for name, kind in _manifest(folder):
        if kind != "b":
            continue
        try:
            with (folder / LOG_FOLDER / name).open("rb") as base:
                found = _STAMP.search(base.read(HEADER_BYTES))
        except OSError:
            return None
        if found:
            return ServerVersion(
                "Valkey" if found[1] == b"valkey" else "Redis", (int(found[2]), int(found[3]))
            )
    return None


def _manifest(folder: Path) -> list[tuple[str, str]]:
    """Name and kind (`b` the base, `i` commands behind it, `h` history) of each file."""
    try:
        text = (folder / LOG_FOLDER / MANIFEST).read_text(errors="replace")
    except OSError:
        return []
    fields = [line.split() for line in text.splitlines()]
    entries = [dict(zip(line[::2], line[1::2], strict=False)) for line in fields]
    return [(entry["file"], entry["type"]) for entry in entries if {"file", "type"} <= entry.keys()]
