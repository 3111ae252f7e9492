"""A Redis of a benchmark's own: the one that `headrace up` embeds, on a socket in a folder."""

from __future__ import annotations

import time
from pathlib import Path

from bench.child import Child
from headrace.cli.embedded_redis import prepare_embedded_redis
from headrace.cli.redis_ping import answers_ping
from headrace.core.connection import WORKER_TIMEOUT_S, Client, connect

EMPTY_S = 10.0
NO_REWRITE = ("--auto-aof-rewrite-percentage", "0")
"""By itself the server would rewrite its file in some runs and not in others; `empty` does it."""


class Server(Child):
    """Durable as the product's is, so that writes cost the same."""

    ready_s = 10.0

    def __init__(self, folder: Path) -> None:
        self._embedded = prepare_embedded_redis(folder)
        self.url = self._embedded.url
        super().__init__([*self._embedded.command(), *NO_REWRITE], {})

    def client(self) -> Client:
        return connect(self.url, WORKER_TIMEOUT_S)

    def answers(self) -> bool:
        return answers_ping(self.client())

    def last_lines(self) -> str:
        """Before it can open its own log it writes elsewhere."""
        return f"{super().last_lines()}\n{self._embedded.last_log_lines()}"


def empty(redis: Client) -> None:
    """An empty server with a short file. Raises `TimeoutError` where that takes very long."""
    redis.flushdb()
    redis.bgrewriteaof()
    until = time.monotonic() + EMPTY_S
    while time.monotonic() < until:
        state = redis.info("persistence")
        if not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]):
            return
        time.sleep(0.01)
    raise TimeoutError("the server does not get its file rewritten")
