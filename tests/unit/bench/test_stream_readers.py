"""The clients of `bench.stream_cost`: they count marks in whole streams, however they are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bench.stream_readers import Read, read

REQUEST = "GET / HTTP/1.1\r\n\r\n"


def read_from_server(parts: Sequence[bytes]) -> Read:
    """Parts that two clients read from a server that sends them and closes."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def run() -> Read:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await read(port, [REQUEST, REQUEST], b"data: ")

    return asyncio.run(run())


def test_marks_are_counted_however_they_are_cut() -> None:
    parts = [b"HTTP/1.1 200 OK\r\n\r\n1\r\nda", b"ta: \r\n", b"1\r\ndata: \r\n0\r\n", b"\r\n"]

    assert read_from_server(parts) == Read(marks=4, whole=2)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    assert read_from_server([b"HTTP/1.1 200 OK\r\n\r\n1\r\ndata: \r\n"]) == Read(marks=2, whole=0)
