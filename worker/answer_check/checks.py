"""The last station of jobs under JSON schemas: is their answer true to it?"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from batcher.helper_process import OUT_OF_TIME, HelperProcess, Lost
from headrace.core.types import Feature
from worker.engine_port import EnginePort
from worker.running import Running

LIMIT_S = 0.5
"""CPU time of a check. One of a whole page takes a millisecond."""

PATIENCE_S = 20.0
STOP_S = 2.0

UNCHECKED = "the answer could not be checked against its json_schema"


class Judgement(NamedTuple):
    """What speaks against an answer; with `may_pass` against its check alone."""

    complaint: str | None = None
    may_pass: bool = False


FITS = Judgement()


class AnswerChecks(Protocol):
    """Stands between the last token of a job and its end."""

    def prepare(self) -> None:
        """Gets ready: an answer will have to be checked."""

    def begin(self, job: Running) -> None:
        """Checks the job's answer beside the worker's steps; `finished` names it afterwards."""

    def finished(self) -> list[tuple[Running, Judgement]]:
        """The checks that have ended since the last call."""

    def wait(self, timeout_s: float) -> None:
        """Returns when one has ended, or the time is over."""

    def stop(self) -> None: ...


class NoChecks:
    """For engines that hold output to no schema: such a job never gets as far as an answer."""

    def prepare(self) -> None:
        """Nothing will come."""

    def begin(self, job: Running) -> None:
        raise ValueError("this engine holds output to no schema")

    def finished(self) -> list[tuple[Running, Judgement]]:
        return []

    def wait(self, timeout_s: float) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""


class HelperChecks:
    """One check after the other in a helper process, driven by a thread.

    No check takes the worker longer than a look: a pattern or a reference may make one endless.
    Thread and helper start with the first job that will need them.
    """

    def __init__(self, command: Sequence[str] | None = None, limit_s: float = LIMIT_S) -> None:
        own = [sys.executable, "-P", "-m", "worker.answer_check", str(os.getpid()), str(limit_s)]
        self._helper = HelperProcess(command or own, PATIENCE_S)
        self._limit_s = limit_s
        self._asked: SimpleQueue[Running | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[Running, Judgement]] = SimpleQueue()
        self._has_news = threading.Event()
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="answer-checks", daemon=True)
            self._thread.start()

    def begin(self, job: Running) -> None:
        self.prepare()
        self._asked.put(job)

    def finished(self) -> list[tuple[Running, Judgement]]:
        self._has_news.clear()
        return [self._done.get() for _check in range(self._done.qsize())]

    def wait(self, timeout_s: float) -> None:
        self._has_news.wait(timeout_s)

    def stop(self) -> None:
        """Ends the thread; one that waits for its helper ends with the process."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(STOP_S)

    def _run(self) -> None:
        with suppress(OSError):  # the first check says so
            self._helper.start()
        while (job := self._asked.get()) is not None:
            self._done.put((job, self._judge(job)))
            self._has_news.set()
        self._helper.close()

    def _judge(self, job: Running) -> Judgement:
        """Never raises: the job would wait for ever."""
        try:
            answer = self._helper.ask((job.request.sampling.json_schema, job.text))
        except Exception as error:
            return Judgement(f"{UNCHECKED}: {error}", may_pass=True)
        if isinstance(answer, Lost):
            return self._without_answer(answer)
        complaint = json.loads(answer)
        return (
            FITS
            if complaint is None
            else Judgement(f"the answer breaks its json_schema: {complaint}")
        )

    def _without_answer(self, lost: Lost) -> Judgement:
        if lost.exit_code is None:
            return Judgement(UNCHECKED, may_pass=True)
        if lost.exit_code == OUT_OF_TIME:
            return Judgement(f"{UNCHECKED} within {self._limit_s:g} s of CPU time")
        return Judgement(f"{UNCHECKED}: the check failed on it (exit code {lost.exit_code})")


def make_answer_checks(engine: EnginePort) -> AnswerChecks:
    """The checks that this engine's jobs need."""
    return HelperChecks() if Feature.JSON_SCHEMA in engine.features else NoChecks()
