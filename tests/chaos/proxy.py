"""A TCP proxy in front of Redis that can treat its connections badly."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass
from enum import Enum, auto

CHUNK_BYTES = 65_536
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset instead of the rest."""


class Way(Enum):
    """What becomes of connections, open ones and new ones."""

    PASS = auto()
    RESET = auto()
    """All are reset; so is whoever connects."""

    BLACK_HOLE = auto()
    """Connecting works, but nothing comes through in either direction."""

    HALF_OPEN = auto()
    """Requests arrive; no answer comes back."""


@dataclass(frozen=True)
class Latency:
    """Seconds by which requests are late; a share of them has the longer delay."""

    fixed_s: float = 0.0
    long_s: float = 0.0
    long_share: float = 0.0

    def draw(self, dice: random.Random) -> float:
        return self.long_s if dice.random() < self.long_share else self.fixed_s


class Proxy(threading.Thread):
    """Listens on `port` of 127.0.0.1 from `start` to `close`."""

    def __init__(self, target_port: int, seed: int = 0) -> None:
        super().__init__(name="proxy", daemon=True)
        self.port = 0
        self._target_port = target_port
        self._dice = random.Random(seed)
        self._way = Way.PASS
        self._latency = Latency()
        self._clients: set[asyncio.StreamWriter] = set()
        self._is_listening = threading.Event()

    def start(self) -> None:
        super().start()
        self._is_listening.wait()

    def turn(self, way: Way) -> None:
        self._way = way
        if way is Way.RESET:
            self._loop.call_soon_threadsafe(self._reset_all)

    def lead_to(self, target_port: int) -> None:
        """Leads to another server from now on, and resets the connections to the one before."""
        self._target_port = target_port
        self._loop.call_soon_threadsafe(self._reset_all)

    def slow_down(self, latency: Latency) -> None:
        self._latency = latency

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self.join(10)

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._is_listening.set()
        await self._closing.wait()
        server.close()
        self._reset_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            if self._way is Way.RESET:
                return
            server_reader, server_writer = await asyncio.open_connection(
                "127.0.0.1", self._target_port
            )
            try:
                await self._carry((reader, server_writer), (server_reader, writer))
            finally:
                server_writer.close()
        except (OSError, asyncio.CancelledError):
            pass  # a reset by either side, no server, or the end of the proxy: it ends below
        finally:
            self._clients.discard(writer)
            _reset(writer)

    async def _carry(
        self,
        requests: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        answers: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Until one side ends."""
        pumps = [
            asyncio.ensure_future(self._pump(*requests, is_request=True)),
            asyncio.ensure_future(self._pump(*answers, is_request=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        # TCP never leaves a gap: a direction that lost bytes once carries nothing any more.
        is_broken = False
        while chunk := await reader.read(CHUNK_BYTES):
            if is_request:
                await asyncio.sleep(self._latency.draw(self._dice))
            is_broken = is_broken or self._swallows(is_request)
            if not is_broken:
                writer.write(chunk)
                await writer.drain()

    def _swallows(self, is_request: bool) -> bool:
        return self._way is Way.BLACK_HOLE or (self._way is Way.HALF_OPEN and not is_request)

    def _reset_all(self) -> None:
        for writer in list(self._clients):
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()
