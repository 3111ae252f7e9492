"""Single values in the header of a GGUF file.

`gguf.GGUFReader` makes objects of every token, which takes seconds; this skips them.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gguf import GGUF_MAGIC, GGUFValueType

_START = struct.Struct("<IIQQ")
"""Magic, version, number of tensors, number of keys."""

_FIRST_VERSION = 2
"""The version before counted with 32 bits."""

_NUMBERS = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}


def read_numbers(file: Path, prefix: str) -> dict[str, Any]:
    """Numbers whose keys begin with `prefix`; empty for a big-endian file.

    Raises `ValueError` for a file that is no GGUF file or ends early.
    """
    with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return {key: value for key, value in _walk(data) if key.startswith(prefix)}
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"the header of {file} cannot be read: {error}") from error


def _walk(data: mmap.mmap) -> Iterator[tuple[str, Any]]:
    """Each key that has a number, with it."""
    magic, version, _tensors, keys = _START.unpack_from(data)
    if magic != GGUF_MAGIC:
        raise ValueError("no GGUF file")
    is_big_endian = version & 0xFFFF == 0
    if is_big_endian or version < _FIRST_VERSION:
        return
    place = _START.size
    for _key in range(keys):
        end = _after_string(data, place)
        key, kind = data[place + 8 : end].decode(), _kind(data, end)
        place = end + 4
        if kind in _NUMBERS:
            yield key, struct.unpack_from(_NUMBERS[kind], data, place)[0]
        place = _after(data, place, kind)


def _after(data: mmap.mmap, place: int, kind: GGUFValueType) -> int:
    """Where the value of this kind that begins at `place` ends."""
    if kind is GGUFValueType.STRING:
        return _after_string(data, place)
    if kind is not GGUFValueType.ARRAY:
        return place + struct.calcsize(_NUMBERS[kind])
    item, (count,) = _kind(data, place), struct.unpack_from("<Q", data, place + 4)
    place += 12
    if item in _NUMBERS:
        return int(place + count * struct.calcsize(_NUMBERS[item]))
    for _item in range(count):
        place = _after(data, place, item)
    return place


def _after_string(data: mmap.mmap, place: int) -> int:
    (length,) = struct.unpack_from("<Q", data, place)
    return int(place + 8 + length)


def _kind(data: mmap.mmap, place: int) -> GGUFValueType:
    return GGUFValueType(struct.unpack_from("<I", data, place)[0])
