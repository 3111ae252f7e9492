"""One operating-system process of the supervisor, in a session of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Protocol

PR_SET_PDEATHSIG = 1


class Process(Protocol):
    """What the supervisor needs of a process."""

    @property
    def pid(self) -> int: ...

    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that killed it."""

    def terminate(self) -> None:
        """Asks it to finish what it does and end."""

    def kill(self) -> None:
        """Ends it and all that it started, at once."""


Spawn = Callable[[Sequence[str]], Process]


class SessionProcess:
    """A process that Ctrl-C in the terminal does not reach, and that ends with the supervisor.

    It writes where the supervisor does, or into `output`.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: IO[bytes] | None = None,
    ) -> None:
        self._popen = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


def how_it_ended(exit_code: int) -> str:
    """For people: the signal by its name where one killed it."""
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


def _end_with_parent() -> Callable[[], None] | None:
    """Runs in the child before it becomes its program; only Linux can tie it to its parent.

    The kernel sends the signal when the *thread* that forked ends: spawn from the main thread.
    """
    if sys.platform != "linux":
        return None
    set_option = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_for_signal() -> None:
        set_option(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # It was killed before the request: no signal will come.

    return ask_for_signal
