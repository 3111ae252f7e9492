"""Health, readiness and metrics."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response, jsonify, request

from api.answers import Health, Readiness
from api.operation import Answer, Operation
from api.services import services
from headrace.core.errors import Unavailable

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthz")
@Operation(query=None, durable=False, answers={200: Answer(Health)})
def healthz() -> Response:
    """The process lives."""
    view: Health = {"status": "ok"}
    return jsonify(view)


@blueprint.get("/readyz")
@Operation(query=None, answers={200: Answer(Readiness)}, refuses=(Unavailable,))
def readyz() -> Response:
    """Work can be accepted: Redis takes writes and a model card exists.

    Workers are reported, not required: a durable queue accepts while its workers restart.
    """
    services().queue.require_writes()
    activities = Counter(worker.activity for worker in services().roster.workers())
    view: Readiness = {
        "status": "ok",
        "model": services().cards.current().name,
        "workers": {"ready": activities["ready"], "draining": activities["draining"]},
        "queue": {
            "waiting": services().queue.waiting(),
            "max_jobs": services().settings.queue_max_jobs,
        },
    }
    return jsonify(view)


@blueprint.get("/metrics")
@Operation(query=None, answers={200: Answer(texts=("text/plain", "application/openmetrics-text"))})
def metrics() -> Response:
    """For Prometheus.

    HTTP as this API's processes counted it; the monitor exports queue, workers and jobs.
    """
    body, content_type = services().metrics.exposition(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)
