"""Answers the last callers that there are descriptors for with 503, instead of none at all."""

from __future__ import annotations

import os
from functools import cache

from flask import request

from headrace.core.errors import OutOfDescriptors
from headrace.core.open_files import OWN_FILES, allow_files

MOST_CONNECTIONS = 2000

SPARE = 16
"""Connections of a process that are accepted to be refused."""

EXEMPT = "operations"
"""The blueprint of health checks: a process that is full lives."""


def most_connections() -> int:
    """Connections that a process accepts at once; later ones wait in the kernel."""
    return max(1, min(MOST_CONNECTIONS, allow_files() - OWN_FILES))


def require_descriptor() -> None:
    """Raises `OutOfDescriptors` where the request's connection is one of the last."""
    connection = request.environ.get("gunicorn.socket")
    if connection is None or request.blueprint == EXEMPT:
        return
    # The lowest free number is given first, so a high one may mean that few are left.
    if connection.fileno() >= _last() and _open_files() >= _last():
        raise OutOfDescriptors(
            f"this process may have {allow_files()} files open, and nearly all are connections:"
            " ask again, or raise its limit (`ulimit -n`)"
        )


@cache
def _last() -> int:
    return allow_files() - OWN_FILES - SPARE


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:  # another kernel than Linux: the number has to do
        return _last()
