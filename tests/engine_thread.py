"""An engine behind the border of a process, served by a thread of the test instead."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from batcher.engine import Engine
from batcher.model_store import PreparedModel
from headrace.core.jobs.failpoints import Failpoints
from headrace.core.model_card import ModelCard
from worker.engine_process.channel import Channel
from worker.engine_process.child import Launch
from worker.engine_process.serving import serve


class EngineThread:
    """Has a child's doors. `kill` cuts the pipe, as the kernel does; a running step ends first."""

    def __init__(self, engine: Engine, card: ModelCard, descriptor: int) -> None:
        self.engine = engine
        self.pid = 0
        self._code: int | None = None
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._channel = Channel(os.dup(descriptor))
        self._model = PreparedModel("simulated", Path("/nowhere"), card)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else self._code or 0

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("engine", timeout or 0)
        return self._code or 0

    def kill(self) -> None:
        self._code = -9
        self._cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            serve(self.engine, self._model, self._channel, Failpoints())
        self._cut()
        self._socket.close()
        self._channel.close()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def threads_of(make_engine: Callable[[], Engine], card: ModelCard) -> Launch:
    """Launches a thread with an engine of its own each time."""

    def launch(descriptor: int, failpoints: str) -> EngineThread:
        return EngineThread(make_engine(), card, descriptor)

    return launch
