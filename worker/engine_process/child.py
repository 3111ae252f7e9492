"""Starting the process that an engine runs in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from headrace.core.settings import variable

COMMAND = (sys.executable, "-P", "-m", "worker.engine_process")
"""Nothing is imported from the folder that the worker was started in."""


class Child(Protocol):
    """The process as its worker uses it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises `subprocess.TimeoutExpired`."""

    def kill(self) -> None:
        """Ends it at once."""


Launch = Callable[[int, str], Child]
"""Starts a child with a descriptor that it inherits, and with failpoints."""


def launcher(worker: str, command: Sequence[str] = COMMAND) -> Launch:
    """Starts children that log under the name of their worker."""

    def launch(descriptor: int, failpoints: str) -> Child:
        own = ("--name", worker, "--parent", str(os.getpid()), "--descriptor", str(descriptor))
        return subprocess.Popen(
            [*command, *own],
            stdin=subprocess.DEVNULL,
            pass_fds=[descriptor],
            env=os.environ | {variable("failpoints"): failpoints},
        )

    return launch


def describe_end(code: int) -> str:
    """How a child ended, for people."""
    if code >= 0:
        return f"ended with code {code}"
    name = signal.Signals(-code).name
    hint = ", as the kernel does where memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"
