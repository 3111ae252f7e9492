"""The dead letters API: list, show, replay, purge. No prompt is in any answer."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, url_for

from api import arguments
from api.access_log import JOB_HEADER
from api.body import read_optional_json
from api.caller import caller
from api.jobs import MAX_LISTED, job_response
from api.schemas import ReplayBody
from api.services import services
from headrace.core.jobs.dead_letter import DeadLetter

log = structlog.get_logger()

blueprint = Blueprint("dead", __name__, url_prefix="/v1/dead")


@blueprint.get("")
def index() -> Response:
    arguments.only("limit")
    limit = int(arguments.number("limit", 20, MAX_LISTED, least=1))
    letters = services().dead_letters.list(limit, caller().sees)
    return jsonify({"object": "list", "data": [letter_json(letter) for letter in letters]})


@blueprint.get("/<job_id>")
def show(job_id: str) -> Response:
    arguments.only()
    response = jsonify(letter_json(services().dead_letters.get(arguments.job_id(job_id))))
    response.headers[JOB_HEADER] = job_id
    return response


@blueprint.post("/<job_id>/replay")
def replay(job_id: str) -> Response:
    """Answers with the new job; asked for again, with the same one."""
    arguments.only()
    force = ReplayBody.parse(read_optional_json()).force
    replayed = services().admission.replay(arguments.job_id(job_id), force)
    log.info("dead letter replayed", job_id=replayed.job_id, replay_of=job_id)
    response = job_response(services().queue.get(replayed.job_id))
    response.status_code = 202
    response.headers["Location"] = url_for("jobs.show", job_id=replayed.job_id)
    return response


@blueprint.delete("/<job_id>")
def purge(job_id: str) -> Response:
    arguments.only()
    services().dead_letters.purge(arguments.job_id(job_id))
    log.info("dead letter purged", job_id=job_id)
    return Response(status=204)


@blueprint.delete("")
def purge_all() -> Response:
    """`?older_than_s=N` must be there: an address that lost its id purges nothing."""
    arguments.only("older_than_s")
    older_than_s = arguments.number("older_than_s")
    purged = services().dead_letters.purge_all(older_than_s, caller().sees)
    log.info("dead letters purged", count=purged)
    return jsonify({"purged": purged})


def letter_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as clients see it. Times are Redis TIME, s since the epoch."""
    request = letter.request
    return {
        "id": letter.job_id,
        "object": "dead_letter",
        "reason": letter.reason,
        "error": letter.error,
        "request_id": request and request.request_id,
        "model": request and request.model,
        "priority": letter.priority,
        "prompt_tokens": request and len(request.prompt_ids),
        "attempts": letter.attempts,
        "deaths": letter.deaths,
        "died": [
            {"worker": death.worker, "died_at": death.at, "batch_size": death.batch_size}
            for death in letter.died
        ],
        "worker": letter.worker,
        "batch_size": letter.batch_size and round(letter.batch_size, 2),
        "created_at": letter.accepted,
        "ended_at": letter.ended,
        "forgotten_at": letter.forgotten,
        "replay_of": letter.replay_of,
        "replayed_as": letter.replayed_as,
    }
