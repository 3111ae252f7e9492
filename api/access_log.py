"""The count and the log line of every HTTP request."""

from __future__ import annotations

import time

import structlog
from flask import Response, g
from flask.globals import request_ctx

from api.services import services
from headrace.core.standard_streams import lost_lines

JOB_HEADER = "X-Headrace-Job-Id"

UNMATCHED = "unmatched"
"""Route of a path that names none: a caller's own text must not become a label."""

QUIET = {"operations", "fleet", "rq_dashboard"}
"""Blueprints that machines and open pages ask every few seconds."""

log = structlog.get_logger()


def begin() -> None:
    g.started = time.perf_counter()


def end(response: Response) -> None:
    """A stream counts when it begins."""
    asked, known = request_ctx.request, vars(g)  # each look through a proxy costs
    route = asked.url_rule.rule if asked.url_rule else UNMATCHED
    visitor = known.get("caller")
    metrics = services().metrics
    metrics.answered(route, response.status_code)
    metrics.log_lines_lost(lost_lines())
    write = log.debug if asked.blueprint in QUIET else log.info
    write(
        "request answered",
        method=asked.method,
        route=route,
        status=response.status_code,
        duration_ms=round((time.perf_counter() - known["started"]) * 1000, 1),
        job_id=response.headers.get(JOB_HEADER),
        key_id=visitor and visitor.key_id,
        tenant=visitor and visitor.tenant,
        error=known.get("error_code"),
    )
