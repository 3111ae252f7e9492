"""rq-dashboard under /rq, made to read our JSON jobs.

rq-dashboard 0.9.0 unpickles jobs unless told otherwise, opens a connection a page, expects bytes
where RQ 3 gives text, shows arguments, and changes state on a GET. It has no login: `api/access.py`
asks for a key of an administrator once there is one. Without any key it answers only to a loopback
name (also in a container whose port is published there). A page of another site can neither read
it, nor post to it, nor show it in a frame.
"""

from __future__ import annotations

from typing import Any

import rq_dashboard.web as web
from flask import Flask, Response, abort, current_app, request
from rq import Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from werkzeug.exceptions import MethodNotAllowed

from api.caller import DASHBOARD, caller
from api.cross_site import SAFE_METHODS, is_sent_by_another_site
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.errors import Forbidden
from headrace.core.trusted_hosts import names_loopback

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


def mount(app: Flask, redis_url: str) -> None:
    web.config.serializer = JSONSerializer
    web.Worker = DashboardWorker
    web.Job = DashboardJob
    web.from_url = lambda *_arguments, **_options: (None, current_app.redis_conn)  # type: ignore[attr-defined]
    app.config["RQ_DASHBOARD_REDIS_URL"] = ["redis"]  # shown on its pages; ours may hold a password
    app.redis_conn = connect(redis_url, API_TIMEOUT_S)  # type: ignore[attr-defined]
    app.before_request(refuse_bad_visits)
    app.after_request(forbid_frames)
    app.register_error_handler(NoSuchJobError, lambda _error: ("no such job", 404))
    app.register_blueprint(web.blueprint, url_prefix=PREFIX)


def refuse_bad_visits() -> None:
    """Raises `Forbidden`, and werkzeug's errors of an address.

    Browsers send a password along with whatever another site's page posts here.
    """
    if request.blueprint != DASHBOARD:
        return
    if caller().key_id is None and not names_loopback(request.environ.get("HTTP_HOST")):
        raise Forbidden(
            "without API keys the dashboard is for this machine alone: call it by a loopback "
            "address, or make a key with `headrace keys create --scope admin`"
        )
    if request.method not in SAFE_METHODS and is_sent_by_another_site():
        abort(403, "a page of another site sent this")
    if request.endpoint == "rq_dashboard.requeue_all" and request.method != "POST":
        raise MethodNotAllowed(["POST"])
    if (request.view_args or {}).get("instance_number"):
        abort(404)


def forbid_frames(response: Response) -> Response:
    """Keep other sites from laying their page over a button of the dashboard."""
    if request.blueprint == DASHBOARD:
        response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
    return response
