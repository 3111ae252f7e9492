"""A Redis of a benchmark's own: the one that `headrace up` embeds, on a socket in a folder."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.cli.embedded_redis import prepare_embedded_redis
from headrace.cli.redis_ping import answers_ping
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect

READY_S = 10.0
NO_REWRITE = ("--auto-aof-rewrite-percentage", "0")
"""By itself the server would rewrite its file in some runs and not in others; `empty` does it."""


class Server:
    """Answers inside its `with` block; durable as the product's is, so that writes cost the same.

    Raises `RuntimeError` when it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self._embedded = prepare_embedded_redis(folder)
        self.url = self._embedded.url

    def client(self) -> Client:
        return connect(self.url, WORKER_TIMEOUT_S)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([*self._embedded.command(), *NO_REWRITE])
        until = time.monotonic() + READY_S
        while not answers_ping(self.client()):
            if self._process.poll() is not None or time.monotonic() > until:
                self._end()
                raise RuntimeError(f"the server did not start\n{self._embedded.last_log_lines()}")
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()


def empty(redis: Client) -> None:
    """An empty server with a short file. Raises `TimeoutError` where that takes very long."""
    redis.flushdb()
    redis.bgrewriteaof()
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        state = redis.info("persistence")
        if not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]):
            return
        time.sleep(0.01)
    raise TimeoutError("the server does not get its file rewritten")
