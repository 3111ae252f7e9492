"""Spans on their way out: OTLP over HTTP, in the background, dropped before they delay anything.

Only who has a `HEADRACE_OTLP_URL` imports OpenTelemetry (extra `otel`). Set up after a fork: the
sender is a thread, or under gevent a greenlet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.core.errors import SettingsError
from headrace.core.proxies import proxy_of
from headrace.core.version import version

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from requests import Session

SEND_S = 2.0
"""Spans wait so long for others to be sent with."""

TIMEOUT_S = 2.0
MOST_WAITING = 8192
"""While nobody takes them; more are dropped, and OpenTelemetry says so in the log."""


def make_provider(url: str, service: str, instance: str) -> TracerProvider:
    """`service` is `headrace-api` or the like. Raises `SettingsError` without the extra.

    OpenTelemetry's own variables hold as well: OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            "HEADRACE_OTLP_URL: traces need OpenTelemetry: pip install 'headrace[otel]'"
        ) from error
    resource = Resource.create(
        {
            "service.name": service,
            "service.namespace": "headrace",
            "service.version": version(),
            "service.instance.id": instance,
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(
        endpoint=f"{url.rstrip('/')}/v1/traces", timeout=TIMEOUT_S, session=_session(url)
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=SEND_S * 1000
        )
    )
    return provider


def _session(url: str) -> Session:
    """Return a session that sends through the proxy of `proxy_of`; requests has a rule of its own.

    Raises `SettingsError` for a proxy that cannot be used.
    """
    from requests import PreparedRequest, Response, Session
    from requests.adapters import HTTPAdapter

    proxy = proxy_of(url)

    class Adapter(HTTPAdapter):
        def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
            proxies = {"http": proxy, "https": proxy} if proxy else {}
            return super().send(request, *arguments, **options | {"proxies": proxies})

    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return session


def context_of(traceparent: str, tracestate: str = "") -> Context:
    """Of the W3C's headers; a new trace where they are missing or no such headers."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent, "tracestate": tracestate}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def traceparent_of(context: Context) -> str:
    """The header that hands a span on."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, context)
    return carrier.get("traceparent", "")


def close(provider: TracerProvider) -> None:
    """Sends what waits, for `TIMEOUT_S` at most."""
    provider.force_flush(int(TIMEOUT_S * 1000))
    provider.shutdown()
