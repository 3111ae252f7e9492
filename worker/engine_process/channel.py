"""Channel: the two ends of the pipe between a worker and its engine process."""

from __future__ import annotations

import select
import socket
import struct
from multiprocessing.connection import Connection
from typing import Any, Self

BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes that one end may send before the other reads: long prompts must not wait for a step."""


class Channel:
    """Sends and receives objects whole and in order.

    Both ends are processes of the same installation, so the objects are pickled.
    """

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    @classmethod
    def pair(cls, timeout_s: float) -> tuple[Self, int]:
        """This end, and the descriptor of the other one, which a child may inherit.

        `send` at this end raises where the other one does not read for longer than the time-out.
        """
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        seconds, microseconds = divmod(round(timeout_s * 1e6), 10**6)
        time_out = struct.pack("ll", seconds, microseconds)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, time_out)
        return cls(ours.detach()), theirs.detach()

    def send(self, message: Any) -> None:
        """Raises `OSError` where the other end is gone, or does not read."""
        self._connection.send(message)

    def receive(self) -> Any:
        """Waits for the next object. Raises `EOFError` or `OSError` where the other end is gone."""
        return self._connection.recv()

    def has_news(self, timeout_s: float | None = 0.0) -> bool:
        """Whether `receive` would return, or raise, at once; waits for it until the time-out."""
        return bool(self._poll.poll(None if timeout_s is None else timeout_s * 1000))

    def close(self) -> None:
        """Closes this end; may be called again."""
        self._connection.close()
