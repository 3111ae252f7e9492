"""Reading what code under test prints to stderr once that is a `LossyStream`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.core.lossy_stream import LossyStream


@contextmanager
def stderr_kept() -> Iterator[None]:
    """Puts stderr back at the end. Capture with `capfd`, and call `drain_stderr` before reading."""
    kept = sys.stderr
    try:
        yield
    finally:
        drain_stderr()
        sys.stderr = kept


def drain_stderr() -> None:
    if isinstance(sys.stderr, LossyStream):
        assert sys.stderr.drain(10)
