"""Health, readiness and metrics."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response, jsonify, request

from api.answers import FleetView, Health, Readiness
from api.fleet import fleet_view
from api.operation import Answer, Operation
from api.services import services
from headrace.core.errors import Unavailable
from headrace.core.fleet import read_fleet

blueprint = Blueprint("operations", __name__)


@blueprint.get("/health", endpoint="health")
@blueprint.get("/healthz")
@Operation(query=None, durable=False, answers={200: Answer(Health)})
def healthz() -> Response:
    """The process lives. Tools that also measure vLLM ask for `/health`."""
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
            "set_aside": services().queue.set_aside(),
            "max_jobs": services().settings.queue_max_jobs,
        },
    }
    return jsonify(view)


@blueprint.get("/v1/fleet")
@Operation(answers={200: Answer(FleetView)}, refuses=(Unavailable,))
def fleet() -> Response:
    """Queue, workers, and how long their steps take: what planning goes by."""
    redis, model = services().queue.redis, services().cards.current().name
    return jsonify(fleet_view(read_fleet(redis, services().settings), model))


@blueprint.get("/metrics")
@Operation(query=None, answers={200: Answer(texts=("text/plain", "application/openmetrics-text"))})
def metrics() -> Response:
    """For Prometheus.

    HTTP as this API's processes counted it; the monitor exports queue, workers and jobs.
    """
    body, content_type = services().metrics.exposition(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)
