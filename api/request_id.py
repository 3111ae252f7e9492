"""The id of an HTTP request: in its answer, in every log line it causes, and in its job."""

from __future__ import annotations

import re
import secrets

from flask import Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

HEADER = "X-Request-Id"
USABLE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def assign() -> None:
    """The caller's own where it is usable, else a new one."""
    asked = request.headers.get(HEADER, "")
    g.request_id = asked if USABLE.fullmatch(asked) else secrets.token_hex(16)
    bind()


def bind() -> None:
    """Puts the id into every log line from here on, in this greenlet."""
    bind_contextvars(request_id=g.request_id)


def current() -> str:
    return str(g.request_id)


def forget(_error: BaseException | None) -> None:
    """A kept connection is one greenlet for many requests."""
    clear_contextvars()


def show(response: Response) -> None:
    response.headers[HEADER] = g.request_id
