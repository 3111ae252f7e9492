"""The Flask app: parse, one call, render."""

from __future__ import annotations

from flask import Flask, Response

from api import (
    access,
    access_log,
    admission,
    dashboard,
    dead,
    documentation,
    fleet_readings,
    jobs,
    openai,
    operations,
    rate_limits,
    request_id,
)
from api.admission import Admission
from api.bundles import Bundles
from api.cors import Cors
from api.errors import register_error_handlers
from api.follower import Follower
from api.http_metrics import make_http_metrics
from api.intake import Intake
from api.json_provider import JsonProvider
from api.schema_check import SchemaCheck
from api.services import KEY, Services
from api.traces import Traces, make_traces
from api.waiters import Waiters
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.card_store import CardStore
from headrace.core.connection import API_TIMEOUT_S, connect
from headrace.core.errors import SettingsError
from headrace.core.exposure import require_lock
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.pace import PaceMeter
from headrace.core.jobs.queue import JobQueue
from headrace.core.roster import Roster
from headrace.core.settings import Settings, load_settings
from headrace.core.trusted_hosts import TrustedHosts


def create_app(settings: Settings | None = None, queue: JobQueue | None = None) -> Flask:
    """An app on the queue's Redis.

    Raises `SettingsError` where none is named, or where it would be open to others without a key.
    """
    settings = settings or load_settings()
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: the API needs the queue's Redis")
    queue = queue or JobQueue(connect(settings.redis_url, API_TIMEOUT_S), settings)
    api_keys, bundles = ApiKeyStore(queue.redis), Bundles(queue)
    dead_letters = DeadLetters(queue, bundles.send)
    require_lock(settings, api_keys)
    cards, waiters = CardStore(queue.redis), Waiters(queue)
    roster = Roster(queue.redis, settings.lease_s)
    schemas = SchemaCheck(queue.redis, roster, settings)
    pace, metrics = PaceMeter(queue.redis, roster), make_http_metrics(settings)
    traces, cors = make_traces(settings), Cors(settings.cors_origins, api_keys)

    app = Flask("headrace")
    app.json = JsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.extensions[KEY] = Services(
        settings=settings,
        api_keys=api_keys,
        queue=queue,
        dead_letters=dead_letters,
        cards=cards,
        roster=roster,
        intake=Intake(cards, roster, schemas, settings, metrics, traces),
        admission=Admission(bundles, dead_letters, pace, traces),
        pace=pace,
        waiters=waiters,
        follower=Follower(queue, waiters),
        metrics=metrics,
        cors=cors,
        trusted_hosts=TrustedHosts(settings),
    )
    _register_hooks(app, traces, cors)
    for module in (jobs, dead, openai, operations, fleet_readings):
        app.register_blueprint(module.blueprint)
    dashboard.mount(app, settings.redis_url)
    documentation.mount(app)
    register_error_handlers(app)
    return app


def _register_hooks(app: Flask, traces: Traces, cors: Cors) -> None:
    """One hook before and one after a request: Flask spends some microseconds on each."""

    @app.before_request
    def begin() -> Response | None:
        request_id.assign()
        traces.begin()
        access_log.begin()
        if (preflight := cors.answer_preflight()) is not None:
            return preflight
        access.require()
        return None

    @app.after_request
    def end(response: Response) -> Response:
        rate_limits.show(response)
        request_id.show(response)
        admission.show_replay(response)
        cors.show(response)
        access_log.end(response)
        traces.end(response)
        return response

    app.teardown_request(request_id.forget)
