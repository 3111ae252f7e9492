"""Reads many streams at once to their ends, and counts a mark in all that comes.

    python -m bench.stream_readers PORT --mark TEXT < requests.json

Standard input is a JSON list of ready-made requests: the text of each. A line says when the first
bytes of every stream have come; the last line is JSON: marks counted, and streams that came whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

READING = "reading"
LAST_CHUNK = b"\r\n0\r\n\r\n"
"""End of a chunked answer."""


@dataclass(frozen=True, slots=True)
class Read:
    """Sums over all streams."""

    marks: int
    whole: int


class Stream(asyncio.Protocol):
    """One connection; it is closed when the answer is whole, or by the server."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.data = bytearray()
        self.begun, self.over = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.begun.set()
        if self.is_whole:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.begun.set()
        self.over.set()

    @property
    def is_whole(self) -> bool:
        return self.data.endswith(LAST_CHUNK)


async def read(port: int, requests: Sequence[str], mark: bytes) -> Read:
    loop = asyncio.get_running_loop()
    streams = []
    for request in requests:
        make = partial(Stream, request.encode())
        _transport, stream = await loop.create_connection(make, "127.0.0.1", port)
        streams.append(stream)
    for stream in streams:
        await stream.begun.wait()
    print(READING, flush=True)
    for stream in streams:
        await stream.over.wait()
    marks = sum(stream.data.count(mark) for stream in streams)
    return Read(marks, sum(stream.is_whole for stream in streams))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stream_readers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("port", type=int)
    parser.add_argument("--mark", required=True, help="text that stands in each event of a token")
    arguments = parser.parse_args()
    requests = json.load(sys.stdin)
    print(json.dumps(asdict(asyncio.run(read(arguments.port, requests, arguments.mark.encode())))))


if __name__ == "__main__":
    main()
