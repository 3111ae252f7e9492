"""A Redis server of the test's own, as `headrace up` starts it, on a TCP port as well."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Literal

from headrace.cli.embedded_redis import EmbeddedRedis, socket_path_of
from headrace.cli.process import SessionProcess
from headrace.cli.redis_binary import find_redis_binary
from headrace.cli.redis_ping import answers_ping
from headrace.core.connection import WORKER_TIMEOUT_S, connect
from tests.chaos.patience import until
from tests.deployment import free_port

Fsync = Literal["always", "everysec"]


class RedisServer:
    """May be killed, stopped and started again on the same data.

    `client` goes to its socket, past any proxy.
    """

    def __init__(self, folder: Path, fsync: Fsync = "everysec") -> None:
        folder.mkdir(parents=True)
        embedded = EmbeddedRedis(find_redis_binary(), folder, socket_path_of(folder))
        self.port = free_port()
        self.client = connect(embedded.url, WORKER_TIMEOUT_S)
        options = {"port": str(self.port), "bind": "127.0.0.1", "appendfsync": fsync}
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._command = [*embedded.command(), *flags]
        self._process: SessionProcess | None = None

    def start(self) -> float:
        """Returns, seconds since the epoch, when it answered."""
        self._process = SessionProcess(self._command, os.environ)
        until("Redis answers", lambda: answers_ping(self.client), 20.0)
        return time.time()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Gracefully: it writes its log and ends."""
        process = self._process
        assert process is not None
        os.kill(process.pid, signal.SIGTERM)
        until("Redis ends", lambda: process.exit_code() is not None, 20.0)

    def close(self) -> None:
        self.kill()
        self.client.connection_pool.disconnect()
