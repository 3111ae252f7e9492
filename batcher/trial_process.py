"""A helper process that tries JSON schemas for a worker, and may be lost over one of them."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from headrace.core.json_schema.verdict import Verdict

START_S, PATIENCE_S = 300.0, 60.0
"""Longest waits for the helper, to start and for a verdict: it gets little of busy cores."""

FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of a helper that somebody ended: they say nothing about the schema."""


class TrialProcess:
    """Tries one schema at a time. A helper that was lost is started again at once.

    The helper ends itself when a trial has taken `limit_s` seconds of CPU time. One thread makes
    all calls: the helper ends with the thread that started it.
    """

    def __init__(
        self, command: Sequence[str], limit_s: float, patience_s: float = PATIENCE_S
    ) -> None:
        self._command = [*command, str(limit_s)]
        self._limit_s = limit_s
        self._patience_s = patience_s
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

    def judge(self, schema: str) -> Verdict | None:
        """Tries a schema, and refuses one that the helper dies of.

        None where the helper starved, did not start or was ended from outside.
        """
        self.start()
        if not self._is_ready and self._hear(START_S) is None:
            self._end()
            return None
        self._is_ready = True
        line = self._ask(schema)
        return self._lost() if line is None else Verdict.decode(line)

    def close(self) -> None:
        """Ends the helper."""
        if self._helper is not None:
            self._end()

    def _ask(self, schema: str) -> str | None:
        assert self._helper is not None and self._helper.stdin is not None
        with suppress(BrokenPipeError):
            print(json.dumps(schema), file=self._helper.stdin, flush=True)
        return self._hear(self._patience_s)

    def _hear(self, patience_s: float) -> str | None:
        """The helper's next line; None where it ended or said nothing for too long."""
        assert self._helper is not None and self._helper.stdout is not None
        heard, _, _ = select.select([self._helper.stdout], [], [], patience_s)
        return self._helper.stdout.readline() or None if heard else None

    def _lost(self) -> Verdict | None:
        exit_code = self._end()
        self.start()
        if exit_code == -signal.SIGPROF:
            return Verdict(self._limit_s, is_whole=False)
        if exit_code in FROM_OUTSIDE:
            return None
        return Verdict(0.0, refusal=f"the grammar's compiler failed on it (exit code {exit_code})")

    def _end(self) -> int:
        """Kills the helper where it still runs. Returns its exit code."""
        assert self._helper is not None
        helper, self._helper = self._helper, None
        helper.kill()
        with suppress(BrokenPipeError), helper:  # what it did not read is lost
            helper.wait()
        return helper.returncode
