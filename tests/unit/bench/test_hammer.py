"""The client of `bench.api`: it counts whole answers, however they are cut."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import urlsplit

from bench.hammer import hammer, make_request

ANSWERS = [
    [b"HTTP/1.1 202 ACCEPTED\r\nContent-Length: 4\r\n\r\nbody"],
    [b"HTTP/1.1 202 ACC", b"EPTED\r\ncontent-length: 4\r\n\r\nbo", b"dy"],
    [b"HTTP/1.1 503 SERVICE UNAVAILABLE\r\nContent-Length: 0\r\n\r\n"],
]


async def hammered(requests: list[bytes]) -> Counter[str]:
    """What is counted of a server that takes turns with its answers and closes after them."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pieces in ANSWERS:
            requests.append(await reader.readexactly(len(request)))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        await reader.readexactly(len(request))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    url = urlsplit(f"http://127.0.0.1:{port}/v1/jobs")
    request = make_request(url, b"{}", ["Authorization: Bearer key"])
    async with server:
        return await hammer(url, request, connections=2, seconds=0.3)


def test_answers_are_counted_by_status_and_a_lost_connection_is_no_answer() -> None:
    requests = list[bytes]()

    assert asyncio.run(hammered(requests)) == {"202": 4, "503": 2, "lost": 2}
    assert len(requests) == 6
    assert b"\r\nAuthorization: Bearer key\r\n" in requests[0]
    assert requests[0].endswith(b"\r\nContent-Length: 2\r\nAuthorization: Bearer key\r\n\r\n{}")
