"""The connection of a caller, as gunicorn hands it on: whether anybody is still there."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress

import gevent
from flask import request
from gevent import monkey

LOOK_S = 0.05
"""How often a connection is looked at that can no longer be waited for."""

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"

CLOSED = select.POLLHUP | select.POLLERR
"""No side can send any more."""

_poll = monkey.get_original("select", "poll")  # gevent's own does not know `POLLRDHUP`


class Connection:
    def __init__(self, caller: socket.socket, protocol: str) -> None:
        self._caller = caller
        self._protocol = protocol

    def wait_until_left(self, probe: Callable[[], None]) -> None:
        """Waits until the caller has closed its connection, or reset it.

        A caller that has closed its sending side alone still reads. `probe` has something written
        to it, and a connection that is closed as a whole answers that with a reset.
        """
        with suppress(OSError, ValueError):
            self._caller.recv(1, socket.MSG_PEEK)  # until it closes, or sends what comes next
        self._wait_for(select.POLLRDHUP | CLOSED)
        with suppress(OSError):
            probe()
        self._wait_for(CLOSED)

    @property
    def is_closed(self) -> bool:
        return self._is(CLOSED)

    def send_interim(self) -> None:
        """Sends an answer that says nothing. A caller of HTTP/1.0 knows none: it has left."""
        if self._protocol == "HTTP/1.0":
            self._caller.shutdown(socket.SHUT_RDWR)
        else:
            self._caller.sendall(INTERIM)

    def _wait_for(self, events: int) -> None:
        while not self._is(events):
            gevent.sleep(LOOK_S)

    def _is(self, events: int) -> bool:
        """False for a connection that this process has closed: nobody hung up."""
        if self._caller.fileno() < 0:
            return False
        poll = _poll()
        poll.register(self._caller, events)
        return any(seen & events for _fd, seen in poll.poll(0))


def current() -> Connection | None:
    """Returns that of the current request; None where another server than gunicorn has it."""
    caller = request.environ.get("gunicorn.socket")
    if caller is None:
        return None
    return Connection(caller, request.environ.get("SERVER_PROTOCOL", ""))
