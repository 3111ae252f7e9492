"""rq-dashboard under /rq, made to read our JSON jobs.

rq-dashboard 0.9.0 unpickles jobs unless told otherwise, opens a connection a page, expects bytes
where RQ 3 gives text, shows arguments, and changes state on a GET. It has no login: `api/access.py`
asks for a key once there is one. Yet it is mounted on loopback only, and a page of another site can
neither read it nor post to it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import rq_dashboard.web as web
from flask import Flask, abort, current_app, request
from rq import Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.exposure import is_loopback

PREFIX = "/rq"


class DashboardJob(Job):
    """Reads JSON jobs wherever the dashboard names no serializer, and shows no arguments."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"serializer": JSONSerializer})

    @property
    def dependency_ids(self) -> list[bytes]:  # type: ignore[override]
        return [job_id.encode() for job_id in super().dependency_ids]

    def get_call_string(self) -> str | None:
        return self.description


class DashboardWorker(Worker):
    """Reads workers whose jobs are JSON, and leaves the connection's time-outs alone."""

    job_class = DashboardJob

    @classmethod
    def all(cls, *arguments: Any, **options: Any) -> Any:
        return super().all(*arguments, **options | {"serializer": JSONSerializer})

    def _set_connection(self, connection: Client) -> Client:
        return connection


def mount(app: Flask, redis_url: str, host: str) -> None:
    if not is_loopback(host):
        return
    web.config.serializer = JSONSerializer
    web.Worker = DashboardWorker
    web.Job = DashboardJob
    web.from_url = lambda *_arguments, **_options: (None, current_app.redis_conn)  # type: ignore[attr-defined]
    app.config["RQ_DASHBOARD_REDIS_URL"] = ["redis"]  # shown on its pages; ours may hold a password
    app.redis_conn = connect(redis_url, API_TIMEOUT_S)  # type: ignore[attr-defined]
    app.before_request(refuse_bad_visits)
    app.register_error_handler(NoSuchJobError, lambda _error: ("no such job", 404))
    app.register_blueprint(web.blueprint, url_prefix=PREFIX)


def refuse_bad_visits() -> None:
    if request.blueprint != "rq_dashboard":
        return
    if not is_loopback(urlsplit(request.host_url).hostname or ""):
        abort(403)  # another site's name that leads here
    if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        abort(403)  # another site's page that posts here
    if request.endpoint == "rq_dashboard.requeue_all" and request.method != "POST":
        abort(405)
    if (request.view_args or {}).get("instance_number"):
        abort(404)
