"""Compressed request bodies, decompressed within a bound."""

from __future__ import annotations

import zlib

from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from headrace.core.errors import InvalidRequest

GZIP, DEFLATE, RAW_DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""`wbits` of zlib. `deflate` means its own format, and some clients send the bare stream."""

FORMATS = {"gzip": (GZIP,), "x-gzip": (GZIP,), "deflate": (DEFLATE, RAW_DEFLATE)}
READABLE = "gzip, deflate"


def decode(body: bytes, encoding: str, most: int) -> bytes:
    """Returns the body that a `Content-Encoding` stands for, of `most` bytes.

    Raises `UnsupportedMediaType`, `InvalidRequest`, and `RequestEntityTooLarge` before more than
    `most` + 1 bytes are made.
    """
    names = [name for part in encoding.split(",") if (name := part.strip().lower())]
    names = [name for name in names if name != "identity"]
    if not names or not body:
        return body
    if len(names) > 1 or names[0] not in FORMATS:
        raise UnsupportedMediaType(
            f"Content-Encoding: {encoding[:100]} cannot be read here; send one of {READABLE}, or "
            "the body as it is"
        )
    return _decompress(body, names[0], most)


def _decompress(body: bytes, name: str, most: int) -> bytes:
    for wbits in FORMATS[name]:
        stream = zlib.decompressobj(wbits)
        try:
            found = stream.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(found) > most:
            raise RequestEntityTooLarge
        if not stream.eof:
            raise InvalidRequest(f"the body ends before its {name} does", "body")
        if stream.unused_data:
            raise InvalidRequest(f"the body has something behind its {name}", "body")
        return found
    raise InvalidRequest(f"the body is not {name}, as its Content-Encoding says", "body")
