"""Inbox: the worker's commands, read as they come, whatever the engine is doing."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue

from worker.engine_process.channel import Channel
from worker.engine_process.messages import Command


class WorkerGone(Exception):
    """Raised when the other end of the pipe is closed."""


class Inbox:
    """Reads in a thread: while the engine waits to be heard, the worker may speak."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._commands: SimpleQueue[list[Command] | None] = SimpleQueue()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self, waits: bool) -> list[Command]:
        """All commands that have come; at least one if it `waits`.

        Raises `WorkerGone` once nobody speaks any more.
        """
        commands: list[Command] = []
        with suppress(Empty):
            while True:
                some = self._commands.get(block=waits and not commands)
                if some is None:
                    raise WorkerGone
                commands += some
        return commands

    def _read(self) -> None:
        try:
            while True:
                self._commands.put(self._channel.receive())
        except (EOFError, OSError):
            self._commands.put(None)
