"""The whole deployment at one moment, for `headrace top`, `slo` and `scaler`, and for others."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from api.answers import DecisionList
from api.operation import Answer, Operation
from api.queries import DecisionsQuery
from api.services import services
from headrace.core.decision_log import decisions as read_decisions
from headrace.core.readings import slo as slo_reading
from headrace.core.readings.overview import Overview, Reader
from headrace.core.readings.slo import SloReading
from headrace.core.readings.wire import as_json

blueprint = Blueprint("fleet", __name__, url_prefix="/v1/fleet")


@blueprint.get("/overview")
@Operation(answers={200: Answer(Overview)})
def overview() -> Response:
    """Queue, latencies, workers, scaler and alerts: what `headrace top` shows."""
    return jsonify(as_json(Reader(services().queue.redis, services().settings).read()))


@blueprint.get("/slo")
@Operation(answers={200: Answer(SloReading)})
def slo() -> Response:
    """Whether users are served as they were promised: what `headrace slo` shows."""
    return jsonify(as_json(slo_reading.read(services().queue.redis, services().settings)))


@blueprint.get("/decisions")
@Operation(query=DecisionsQuery, answers={200: Answer(DecisionList)})
def decisions(query: DecisionsQuery) -> Response:
    """The newest decisions of the scaler, the oldest of them first."""
    found = read_decisions(services().queue.redis, query.limit)
    return jsonify({"object": "list", "data": [as_json(record) for record in found]})
