"""Damage at the end of an append-only file, as a power loss leaves it, and how to cut it off.

A file of commands is a row of RESP arrays (`*2\r\n$3\r\nGET\r\n…`). After a power loss it may end
in zeros, in half a command, or in whatever its last blocks held before. Redis cuts half a command
by itself and refuses to start on anything else.
"""

from __future__ import annotations

import mmap
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.cli.data_folder import LOG_FOLDER, log_files


class _Torn(ValueError):
    """What stands here is no whole command."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The last `size - whole` bytes of a file, which are no whole commands."""

    path: Path
    whole: int
    size: int
    is_zeros: bool

    def __str__(self) -> str:
        kind = "zeros" if self.is_zeros else "bytes that are no whole commands"
        return (
            f"{self.path} ends in {self.size - self.whole:,} {kind}, behind {self.whole:,} bytes "
            "of whole commands"
        )


def find_damage(folder: Path) -> Damage | None:
    """Looks at the newest file of commands; the folder is that of the embedded Redis."""
    files = log_files(folder)
    return _damage_of(files[-1]) if files and files[-1].exists() else None


def cut(folder: Path, damage: Damage) -> Path:
    """Cuts the damage off. Returns where the copy of all log files lies as they were."""
    backup = folder / f"{LOG_FOLDER}-{time.strftime('%Y%m%dT%H%M%S')}"
    shutil.copytree(folder / LOG_FOLDER, backup)
    with damage.path.open("r+b") as file:
        file.truncate(damage.whole)
        os.fsync(file.fileno())
    return backup


def _damage_of(path: Path) -> Damage | None:
    size = path.stat().st_size
    if not size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        whole = _whole_bytes(data)
        if whole == size:
            return None
        rest = memoryview(data)[whole:]
        try:
            is_zeros = not any(any(rest[at : at + 65536]) for at in range(0, len(rest), 65536))
        finally:
            rest.release()
        return Damage(path, whole, size, is_zeros)


def _whole_bytes(data: mmap.mmap) -> int:
    """How far the file holds whole commands; a transaction counts once it is whole."""
    end = at = 0
    is_in_transaction = False
    while at < len(data):
        try:
            words, at = _read_command(data, at)
        except _Torn:
            break
        name = words[0].lower() if words else b""
        is_in_transaction = name == b"multi" or (is_in_transaction and name != b"exec")
        if not is_in_transaction:
            end = at
    return end


def _read_command(data: mmap.mmap, at: int) -> tuple[Sequence[bytes], int]:
    """The first word of the command at a place, none of a comment, and where the next begins."""
    line, at = _read_line(data, at)
    if line.startswith(b"#"):
        return (), at
    first: list[bytes] = []
    for _word in range(_number(line, b"*")):
        line, at = _read_line(data, at)
        end = at + _number(line, b"$")
        if data[end : end + 2] != b"\r\n":
            raise _Torn
        first = first or [data[at : min(end, at + 16)]]
        at = end + 2
    if not first:
        raise _Torn
    return first, at


def _read_line(data: mmap.mmap, at: int) -> tuple[bytes, int]:
    """A line of at most 1,024 bytes, as those between words are."""
    end = data.find(b"\r\n", at, at + 1024)
    if end < 0:
        raise _Torn
    return data[at:end], end + 2


def _number(line: bytes, kind: bytes) -> int:
    if line[:1] != kind or not line[1:].isdigit():
        raise _Torn
    return int(line[1:])
