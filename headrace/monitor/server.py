"""The monitor's HTTP: `/metrics` and `/healthz`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from redis.exceptions import RedisError

from headrace.core.redis_errors import cause_of
from headrace.monitor.gate import Gate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()


def monitor_app(registry: CollectorRegistry, gate: Gate) -> WSGIApplication:
    """Answers 401 to whom the gate does not admit, and 503 where it cannot know."""
    metrics = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            try:
                if not gate.admits(environ):
                    return _refuse(start_response)
                return cast(Iterable[bytes], metrics(environ, start_response))
            except RedisError as error:
                log.warning("metrics cannot be read", error=str(error))
                return _text(start_response, "503 Service Unavailable", f"Redis {cause_of(error)}")
            except Exception:
                log.exception("metrics cannot be made")
                return _text(start_response, "500 Internal Server Error", "see the monitor's log")
        if path == "/healthz":
            return _text(start_response, "200 OK", "ok")
        return _text(start_response, "404 Not Found", "try /metrics")

    return app


def _refuse(start_response: StartResponse) -> Iterable[bytes]:
    challenge = ("WWW-Authenticate", 'Bearer realm="Headrace"')
    text = "wants a key with the scope admin; without any key, a Host of HEADRACE_ALLOWED_HOSTS"
    return _text(start_response, "401 Unauthorized", text, challenge)


def _text(
    start_response: StartResponse, status: str, text: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [f"{text}\n".encode()]
