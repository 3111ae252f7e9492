"""Posts one body over and over on many connections, as fast as the answers come.

    python -m bench.hammer URL --connections 32 --seconds 3 [--header 'Name: value'] < body.json

A client that is no bottleneck: requests are ready-made bytes, and of an answer no more is read than
its status and length. Prints JSON: answers a second, those that were no success, its own CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter
from urllib.parse import SplitResult, urlsplit

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Hammer(asyncio.Protocol):
    """One connection: the next request goes out when an answer is complete."""

    def __init__(self, request: bytes, statuses: Counter[str]) -> None:
        self._request = request
        self._statuses = statuses
        self._answer = b""
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(HEAD_END)
        length = LENGTH.search(head) if end else None
        if length is None or len(body) < int(length[1]):
            return
        self._answer = b""
        if not self.is_over:
            self._statuses[head[9:12].decode()] += 1
            self._transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_over:
            self._statuses["lost"] += 1


async def hammer(
    address: SplitResult, request: bytes, connections: int, seconds: float
) -> Counter[str]:
    """How many answers of each status came."""
    loop, statuses = asyncio.get_running_loop(), Counter[str]()
    host, port = address.hostname or "127.0.0.1", address.port or 80
    made = [
        await loop.create_connection(lambda: Hammer(request, statuses), host, port)
        for _connection in range(connections)
    ]
    await asyncio.sleep(seconds)
    for transport, protocol in made:
        protocol.is_over = True
        transport.abort()
    return statuses


def make_request(address: SplitResult, body: bytes, headers: list[str]) -> bytes:
    lines = [
        f"POST {address.path} HTTP/1.1",
        f"Host: {address.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + HEAD_END + body


def main() -> None:
    arguments = _parse()
    address = urlsplit(arguments.url)
    request = make_request(address, sys.stdin.buffer.read(), arguments.header)
    started, cpu_s = time.perf_counter(), time.process_time()
    statuses = asyncio.run(hammer(address, request, arguments.connections, arguments.seconds))
    seconds = time.perf_counter() - started
    good = sum(count for status, count in statuses.items() if status.startswith("2"))
    report = {
        "per_s": good / seconds,
        "not_good": sum(statuses.values()) - good,
        "cpu_share": (time.process_time() - cpu_s) / seconds,
    }
    print(json.dumps(report))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hammer", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--header", action="append", default=[], help="may be given often")
    return parser.parse_args()


if __name__ == "__main__":
    main()
