"""Health, readiness and metrics."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response, jsonify, request

from api.services import services

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process lives."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Work can be accepted: Redis takes writes and a model card exists.

    Workers are reported, not required: a durable queue accepts while its workers restart.
    """
    services().queue.require_writes()
    activities = Counter(worker.activity for worker in services().roster.workers())
    return jsonify(
        {
            "status": "ok",
            "model": services().cards.current().name,
            "workers": {"ready": activities["ready"], "draining": activities["draining"]},
            "queue": {
                "waiting": services().queue.waiting(),
                "max_jobs": services().settings.queue_max_jobs,
            },
        }
    )


@blueprint.get("/metrics")
def metrics() -> Response:
    """HTTP as this API's processes counted it; the monitor exports queue, workers and jobs."""
    body, content_type = services().metrics.exposition(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)
