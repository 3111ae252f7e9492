"""A helper process that answers questions one by one, and may be lost over one of them."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

START_S, PATIENCE_S = 300.0, 60.0
"""Longest waits for a helper, to start and for an answer: it gets little of busy cores."""

FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of a helper that somebody ended: they say nothing about the question."""

OUT_OF_TIME = -signal.SIGPROF
"""Exit code of a helper that ended itself after the CPU time that it had for a question."""


class Lost(NamedTuple):
    """A helper that gave no answer.

    `exit_code` is None where the question is not to blame: the helper starved, did not start or
    was ended from outside.
    """

    exit_code: int | None = None


class HelperProcess:
    """Puts one question at a time, as a line of JSON. A lost helper is started again at once.

    A helper may be `told` something first. It says that it is ready with a line, then answers each
    question with a line. One thread makes all calls: the helper ends with the thread that started
    it.
    """

    def __init__(
        self, command: Sequence[str], patience_s: float = PATIENCE_S, told: object = None
    ) -> None:
        self._command = command
        self._patience_s = patience_s
        self._told = told
        self._helper: subprocess.Popen[str] | None = None
        self._is_ready = False

    def start(self) -> None:
        """Starts a helper, if none runs, without waiting until it is ready."""
        if self._helper is not None and self._helper.poll() is not None:
            self._end()
        if self._helper is None:
            self._is_ready = False
            self._helper = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            if self._told is not None:
                self._say(self._told)

    def ask(self, question: object) -> str | Lost:
        """Returns the line with the answer."""
        self.start()
        if not self._is_ready and self._hear(START_S) is None:
            self._end()
            return Lost()
        self._is_ready = True
        self._say(question)
        line = self._hear(self._patience_s)
        return self._lost() if line is None else line

    def close(self) -> None:
        """Ends the helper."""
        if self._helper is not None:
            self._end()

    def _say(self, message: object) -> None:
        assert self._helper is not None and self._helper.stdin is not None
        with suppress(BrokenPipeError):
            print(json.dumps(message), file=self._helper.stdin, flush=True)

    def _hear(self, patience_s: float) -> str | None:
        """The helper's next line; None where it ended or said nothing for too long."""
        assert self._helper is not None and self._helper.stdout is not None
        heard, _, _ = select.select([self._helper.stdout], [], [], patience_s)
        return self._helper.stdout.readline() or None if heard else None

    def _lost(self) -> Lost:
        exit_code = self._end()
        self.start()
        return Lost(None if exit_code in FROM_OUTSIDE else exit_code)

    def _end(self) -> int:
        """Kills the helper where it still runs. Returns its exit code."""
        assert self._helper is not None
        helper, self._helper = self._helper, None
        helper.kill()
        with suppress(BrokenPipeError), helper:  # what it did not read is lost
            helper.wait()
        return helper.returncode
