"""What runs inside of a helper process (`helper_process.py` is the other side)."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from headrace.core.parent_death import end_with

Answer = Callable[[Any], str]


def prepare(parent: int) -> TextIO:
    """Has the process end with its parent, and first where memory is short.

    Ctrl-C is the parent's. Returns where answers go.
    """
    end_with(parent, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # a container may not allow it, and only Linux knows it
        Path("/proc/self/oom_score_adj").write_text("1000")
    return _own_output()


def read() -> Any:
    """The next line: what the helper is told before it is ready."""
    return json.loads(sys.stdin.readline())


def serve(answer: Answer, answers: TextIO) -> None:
    """Says that the helper is ready, then answers each question until no more come."""
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(answer(json.loads(line)), file=answers, flush=True)


@contextmanager
def cpu_limit(limit_s: float) -> Iterator[None]:
    """Ends the process (SIGPROF) after this much CPU time within the block."""
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


def _own_output() -> TextIO:
    """Standard output for answers alone: libraries that print are sent to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers
