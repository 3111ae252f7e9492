"""One operating-system process of the supervisor, in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import IO, Protocol

from headrace.core.parent_death import end_with


class Process(Protocol):
    """What the supervisor needs of a process."""

    @property
    def pid(self) -> int: ...

    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that killed it."""

    def terminate(self) -> None:
        """Asks it to finish what it does and end."""

    def hurry(self) -> None:
        """Asks it to end now."""

    def kill(self) -> None:
        """Ends it and all that it started, at once."""


Spawn = Callable[[Sequence[str]], Process]


class SessionProcess:
    """A process that Ctrl-C in the terminal does not reach, and that ends with the supervisor.

    It writes where the supervisor does, or into `output`. `stop` is the signal that asks it to end.
    A shielded process never gets a SIGTERM, which a service manager sends to all processes at once:
    it ends when the supervisor says so.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: IO[bytes] | None = None,
        *,
        stop: signal.Signals = signal.SIGTERM,
        is_shielded: bool = False,
    ) -> None:
        self._stop = stop
        self._popen = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(_prepare, os.getpid(), stop if is_shielded else signal.SIGTERM),
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def terminate(self) -> None:
        self._popen.send_signal(self._stop)

    def hurry(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


def _prepare(parent: int, number: signal.Signals) -> None:
    """Runs between fork and exec: the new program inherits its mask of signals."""
    if number is not signal.SIGTERM:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    end_with(parent, number)


def how_it_ended(exit_code: int) -> str:
    """For people: the signal by its name where one killed it."""
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
