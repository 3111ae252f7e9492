"""Answers that are streams of server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import structlog
from flask import Response, stream_with_context

from api import request_id
from api.access_log import JOB_HEADER

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = "\n"
"""No event at all. A comment would do, but `vllm bench serve` loses the event behind one."""

log = structlog.get_logger()


def render(name: str, data: dict[str, Any], place: object = None) -> str:
    """One event; a reader that comes back names the `place` of the last one it saw."""
    head = "" if place is None else f"id: {place}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n"


def respond(blocks: Iterator[str], job_id: str) -> Response:
    """The answer that streams `blocks`."""
    logged = stream_with_context(_logged(blocks, job_id))
    response = Response(logged, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # a proxy must not hold tokens back
    response.headers[JOB_HEADER] = job_id
    return response


def _logged(blocks: Iterator[str], job_id: str) -> Iterator[str]:
    """The same, and a line when the stream ends; `complete` unless its reader went away."""
    request_id.bind()  # Flask has ended the request: the stream runs behind it
    started, complete = time.perf_counter(), False
    try:
        yield from blocks
        complete = True
    finally:
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        log.info("stream ended", job_id=job_id, duration_ms=duration_ms, complete=complete)
