"""The span of each HTTP request, and of its way into the queue."""

from __future__ import annotations

import atexit
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from flask import Response, g, request

from api.access import PUBLIC
from headrace.core import tracing
from headrace.core.genai_attributes import ERROR_TYPE
from headrace.core.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

UNTRACED = PUBLIC | {"operations.metrics"}
"""Endpoints that machines ask every few seconds."""


class Traces(Protocol):
    def begin(self) -> None:
        """Before a request."""

    def end(self, response: Response) -> None:
        """After it; a stream has begun then."""

    def enqueueing(self, jobs: int) -> AbstractContextManager[None]:
        """Around the call that puts jobs into the queue."""

    def traceparent(self) -> str:
        """Of the current request, for its jobs; empty where it is not traced."""


class NoTraces:
    def begin(self) -> None:
        """Nothing begins."""

    def end(self, response: Response) -> None:
        """Nothing ends."""

    @contextmanager
    def enqueueing(self, jobs: int) -> Iterator[None]:
        yield

    def traceparent(self) -> str:
        return ""


class HttpTraces:
    def __init__(self, url: str) -> None:
        from opentelemetry import trace

        self._trace = trace
        provider = tracing.make_provider(url, "headrace-api", socket.gethostname())
        self._tracer = provider.get_tracer("headrace.api")
        atexit.register(tracing.close, provider)

    def begin(self) -> None:
        if request.endpoint in UNTRACED:
            return
        headers = request.headers
        parent = tracing.context_of(headers.get("traceparent", ""), headers.get("tracestate", ""))
        route = request.url_rule.rule if request.url_rule is not None else "unknown"
        g.span = self._tracer.start_span(
            f"{request.method} {route}",
            parent,
            self._trace.SpanKind.SERVER,
            {
                "http.request.method": request.method,
                "http.route": route,
                "headrace.request_id": g.request_id,
            },
        )

    def end(self, response: Response) -> None:
        span = g.pop("span", None)
        if span is not None:
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                error = g.get("error_code") or str(response.status_code)
                span.set_attribute(ERROR_TYPE, error)
                span.set_status(self._trace.StatusCode.ERROR)
            span.end()

    @contextmanager
    def enqueueing(self, jobs: int) -> Iterator[None]:
        if "span" not in g:
            yield
            return
        context = self._trace.set_span_in_context(g.span)
        kind, attributes = self._trace.SpanKind.PRODUCER, {"headrace.jobs": jobs}
        with self._tracer.start_as_current_span("enqueue", context, kind, attributes):
            yield

    def traceparent(self) -> str:
        if "span" not in g:
            return ""
        return tracing.traceparent_of(self._trace.set_span_in_context(g.span))


def make_traces(settings: Settings) -> Traces:
    """Raises `SettingsError` where traces are asked for and cannot be made."""
    return NoTraces() if settings.otlp_url is None else HttpTraces(settings.otlp_url)
