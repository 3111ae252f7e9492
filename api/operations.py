"""Health and readiness."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response, jsonify

from api.services import services

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process lives."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Work can be accepted: Redis answers and a model card exists.

    Workers are reported, not required: a durable queue accepts while its workers restart.
    """
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
