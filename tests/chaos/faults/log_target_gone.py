"""Fault 15: nobody reads the log any more, or its disk is full."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import IO

from headrace.core.settings import Settings
from tests.chaos.faults.deployment_fault import DeploymentFault
from tests.chaos.patience import require
from tests.chaos.site import Site
from tests.chaos.up import Up

ANSWERS = 40
SLOW_S = 5.0


class LogTargetGone(DeploymentFault):
    """A lost log line costs a log line: everybody lives on and answers as before."""

    number = 15
    may_redeliver = False

    def __init__(self, *, full: bool) -> None:
        self.name = "log disk full" if full else "log reader gone"
        self._is_full = full

    def make_up(self, folder: Path, settings: Settings) -> Up:
        self._reader = None if self._is_full else _Reader()
        output: IO[bytes] = self._reader.end if self._reader else open("/dev/full", "wb")  # noqa: SIM115
        return Up(folder, settings, output=output)

    def strike(self, site: Site, dice: random.Random) -> None:
        load = self.load(site, dice)
        before = self._pids()
        if self._reader is not None:
            self._reader.leave()
        self.await_answers(load, ANSWERS)
        load.stop()
        require(self._pids() == before, "processes ended when their log was lost")
        require(load.slowest_s < SLOW_S, f"a submission took {load.slowest_s:.1f} s")

    def _pids(self) -> set[int]:
        return {process.pid for process in self.up.processes}


class _Reader(threading.Thread):
    """Reads a pipe until it leaves: whoever writes then gets EPIPE."""

    def __init__(self) -> None:
        super().__init__(name="log-reader", daemon=True)
        self._descriptor, theirs = os.pipe()
        self.end = os.fdopen(theirs, "wb", buffering=0)
        self._left = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._left.is_set() and os.read(self._descriptor, 65536):
            pass
        os.close(self._descriptor)

    def leave(self) -> None:
        """Closes the pipe; the next line that is written ends the last read."""
        self.end.close()
        self._left.set()
        self.join(10)
