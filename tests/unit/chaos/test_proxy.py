"""The proxy treats connections as badly as it says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Latency, Proxy, Way

PATIENCE_S = 0.3


class Echo(threading.Thread):
    """Answers what it hears; `heard` remembers it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.heard: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may be closed already
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while chunk := connection.recv(100):
                self.heard.append(chunk)
                connection.sendall(chunk)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    echo.start()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    proxy = Proxy(echo.port)
    proxy.start()
    yield proxy
    proxy.close()
    assert not proxy.is_alive()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as client:
        assert ask(client, b"first") == b"first"
        yield client


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)


def ask(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(100)


def test_what_is_said_passes(client: socket.socket) -> None:
    assert ask(client, b"hello") == b"hello"


def test_a_reset_reaches_open_connections_and_new_ones(proxy: Proxy, client: socket.socket) -> None:
    proxy.turn(Way.RESET)
    with pytest.raises(ConnectionError):
        client.recv(100)
    with pytest.raises(ConnectionError), connect(proxy) as late:
        late.recv(100)


def test_a_black_hole_takes_everything_and_gives_nothing(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.turn(Way.BLACK_HOLE)
    with pytest.raises(TimeoutError):
        ask(client, b"anybody?")
    with connect(proxy) as late, pytest.raises(TimeoutError):
        ask(late, b"hello?")
    assert echo.heard == [b"first"]


def test_a_half_open_connection_delivers_and_does_not_answer(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.turn(Way.HALF_OPEN)
    with pytest.raises(TimeoutError):
        ask(client, b"anybody?")
    assert echo.heard == [b"first", b"anybody?"]


def test_a_connection_that_lost_bytes_never_carries_any_again(
    proxy: Proxy, client: socket.socket
) -> None:
    proxy.turn(Way.BLACK_HOLE)
    with pytest.raises(TimeoutError):
        ask(client, b"anybody?")
    proxy.turn(Way.PASS)
    with pytest.raises(TimeoutError):
        ask(client, b"and now?")
    with connect(proxy) as late:
        assert ask(late, b"hello") == b"hello"


def test_requests_are_late_by_the_latency(proxy: Proxy, client: socket.socket) -> None:
    proxy.slow_down(Latency(fixed_s=0.1))
    began = time.monotonic()
    ask(client, b"slow")
    assert time.monotonic() - began >= 0.1


def test_a_share_of_the_requests_is_later(proxy: Proxy, client: socket.socket) -> None:
    proxy.slow_down(Latency(long_s=0.1, long_share=1.0))
    began = time.monotonic()
    ask(client, b"slower")
    assert time.monotonic() - began >= 0.1


def test_without_a_server_connections_end(proxy: Proxy, echo: Echo) -> None:
    echo.close()
    with pytest.raises(ConnectionError), connect(proxy) as client:
        client.recv(100)
