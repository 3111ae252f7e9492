"""The standard streams of a process, whatever its caller has done to them."""

from __future__ import annotations

import _thread
import atexit
import os
import sys
from typing import TextIO

from headrace.core.lossy_stream import LossyStream, StartThread

STDOUT, STDERR = 1, 2

EXIT_S = 1.0
"""How long the end of a process waits for a reader of its last lines."""


def open_standard_streams() -> None:
    """Opens the null device for each standard stream that the caller has closed.

    A file or connection that is opened later would get its number, and everything that is printed.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115


def lose_output() -> None:
    """Makes stdout a stream that loses text instead of ending or stopping this process.

    One that somebody put in its place, such as a test's, stays.
    """
    if not isinstance(sys.stdout, LossyStream) and _descriptor_of(sys.stdout) == STDOUT:
        sys.stdout = _made_lossy(STDOUT)


def lose_errors(start_thread: StartThread = _thread.start_new_thread) -> LossyStream:
    """Makes stderr such a stream, and returns it; `start_thread` is that of `LossyStream`."""
    if not isinstance(sys.stderr, LossyStream):
        sys.stderr = _made_lossy(STDERR, start_thread)
    return sys.stderr


def lost_lines() -> int:
    """Lines of stderr that this process has lost."""
    return sys.stderr.lost if isinstance(sys.stderr, LossyStream) else 0


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except OSError:
        return None


def _made_lossy(
    descriptor: int, start_thread: StartThread = _thread.start_new_thread
) -> LossyStream:
    stream = LossyStream(descriptor, start_thread)
    atexit.register(stream.drain, EXIT_S)
    return stream
