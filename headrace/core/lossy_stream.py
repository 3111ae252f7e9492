"""A text stream whose writers never wait and never fail: what cannot be written is counted.

Log disks fill up, and readers of logs die or stop. None of that is a reason to end a process, or
to let a request wait.
"""

from __future__ import annotations

import _thread
import io
import os
from _queue import Empty, SimpleQueue  # gevent puts greenlets into the module `queue`
from collections.abc import Callable
from typing import Any

MOST_WAITING = 4096
"""Texts kept for a reader that has stopped; about 2 MB of log lines."""

TRY_AGAIN_S = 0.05
"""Pause before another write to a descriptor that is full and does not block."""

StartThread = Callable[[Callable[..., object], tuple[Any, ...]], object]
"""Starts a thread of the operating system, as `_thread.start_new_thread` does."""


class LossyStream(io.TextIOBase):
    """Writes to a descriptor in a thread of its own, which alone waits for slow readers.

    Text is lost, and its lines are counted in `lost`, when the descriptor refuses it (a full disk,
    a reader that is gone) and while `MOST_WAITING` texts wait. Once texts can be written again and
    none waits, what `report` says of the lines lost since the last report follows.
    """

    def __init__(
        self, descriptor: int, start_thread: StartThread = _thread.start_new_thread
    ) -> None:
        """Under gevent, `start_thread` must be the one that gevent has replaced."""
        self.lost = 0
        self.report: Callable[[int], str] = "{} lines lost\n".format
        self._descriptor = descriptor
        self._start_thread = start_thread
        self._start()

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click tries with bytes what kind of stream this is
            raise TypeError(f"a text stream takes no {type(text).__name__}")
        if os.getpid() != self._pid:  # threads do not survive a fork
            self._start()
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(text)
        else:
            self._lose(text)
        return len(text)

    def drain(self, timeout_s: float) -> bool:
        """Waits until all that was written so far is out or lost; False after `timeout_s`."""
        if os.getpid() != self._pid:
            return True
        reached: SimpleQueue[None] = SimpleQueue()
        self._waiting.put(reached)
        try:
            reached.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def _start(self) -> None:
        self._pid = os.getpid()
        self.lost = self._reported = 0
        self._is_torn = False
        self._waiting: SimpleQueue[str | SimpleQueue[None]] = SimpleQueue()
        self._start_thread(self._write_all, (self._waiting,))

    def _write_all(self, waiting: SimpleQueue[str | SimpleQueue[None]]) -> None:
        """Runs in the thread. Takes no lock and calls nothing that gevent has replaced."""
        while True:
            text = waiting.get()
            if not isinstance(text, str):
                self._report_loss()
                text.put(None)
            elif not self._write_out(text):
                self._lose(text)
            elif text.endswith("\n") and not waiting.qsize():
                self._report_loss()

    def _report_loss(self) -> None:
        lost = self.lost
        if lost > self._reported and self._write_out(self.report(lost - self._reported)):
            self._reported = lost

    def _write_out(self, text: str) -> bool:
        """Returns whether the whole text was written."""
        rest = text.encode(errors=self.errors)
        if self._is_torn:
            rest = b"\n" + rest
        begun = False
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
                begun = True
            except BlockingIOError:
                _pause()
            except OSError:
                self._is_torn |= begun
                return False
        self._is_torn = False
        return True

    def _lose(self, text: str) -> None:
        self.lost += text.count("\n")


def _pause() -> None:
    """Sleeps without `time.sleep`, which gevent replaces."""
    nothing: SimpleQueue[None] = SimpleQueue()
    try:
        nothing.get(timeout=TRY_AGAIN_S)
    except Empty:
        return
