"""Where alerts go."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
import structlog

from headrace.core.http_client import http_client
from headrace.core.readings.alert import Alert
from headrace.core.settings import Settings

TIMEOUT_S = 5.0
RUNBOOK = "docs/operations.md"

log = structlog.get_logger()


class Sink(Protocol):
    repeats: bool
    """Whether it wants to hear again and again of what is still active."""

    def tell(self, changed: Sequence[Alert], active: Sequence[Alert]) -> None:
        """Raises `httpx.HTTPError` where it was not heard."""


class Webhook:
    """One POST for each change: the alert as JSON, with its `status`: `raised` or `cleared`."""

    repeats = False

    def __init__(self, url: str) -> None:
        self._url, self._client = url, http_client(url, timeout=TIMEOUT_S)

    def tell(self, changed: Sequence[Alert], active: Sequence[Alert]) -> None:
        for alert in changed:
            _require_success(self._client.post(self._url, json=as_message(alert)))


class Alertmanager:
    """Its API v2, which wants to be told of an active alert every few seconds."""

    repeats = True

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._client = http_client(url, timeout=TIMEOUT_S)

    def tell(self, changed: Sequence[Alert], active: Sequence[Alert]) -> None:
        cleared = (alert for alert in changed if alert.until is not None)
        alerts = [as_posted(alert) for alert in (*active, *cleared)]
        if alerts:
            _require_success(self._client.post(self._url, json=alerts))


def _require_success(answer: httpx.Response) -> None:
    """Raises `httpx.HTTPStatusError` without the URL, which httpx would quote with its secrets."""
    if not answer.is_success:
        message = f"{answer.status_code} {answer.reason_phrase}"
        raise httpx.HTTPStatusError(message, request=answer.request, response=answer)


def make_sinks(settings: Settings) -> list[Sink]:
    found: list[Sink] = []
    if settings.alert_webhook_url is not None:
        found.append(Webhook(settings.alert_webhook_url))
    if settings.alertmanager_url is not None:
        found.append(Alertmanager(settings.alertmanager_url))
    return found


def log_change(alert: Alert) -> None:
    details = {"severity": alert.severity, "summary": alert.summary, "problem": alert.description}
    if alert.until is None:
        log.error("alert raised", alert=alert.name, **details)
    else:
        lasted_s = round(alert.until - alert.since, 1)
        log.warning("alert cleared", alert=alert.name, lasted_s=lasted_s, **details)


def as_message(alert: Alert) -> Mapping[str, Any]:
    return {
        "status": "raised" if alert.until is None else "cleared",
        "alert": alert.name,
        "severity": alert.severity,
        "summary": alert.summary,
        "description": alert.description,
        "runbook": runbook(alert),
        "source": "monitor",
        "instance": socket.gethostname(),
        "since": _rfc3339(alert.since),
        "until": None if alert.until is None else _rfc3339(alert.until),
    }


def as_posted(alert: Alert) -> Mapping[str, Any]:
    ends = {} if alert.until is None else {"endsAt": _rfc3339(alert.until)}
    return {
        "labels": {
            "alertname": alert.name,
            "severity": alert.severity,
            "source": "monitor",
            "instance": socket.gethostname(),
        },
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": runbook(alert),
        },
        "startsAt": _rfc3339(alert.since),
        **ends,
    }


def runbook(alert: Alert) -> str:
    return f"{RUNBOOK}#{alert.name.lower()}"


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
