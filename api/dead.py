"""The dead letters API: list, show, replay, purge. No prompt is in any answer."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, jsonify, url_for

from api import arguments
from api.access_log import JOB_HEADER
from api.answers import DeadLetterList, DeadLetterView, JobView, Purged
from api.caller import caller
from api.jobs import job_response
from api.operation import RATES, Answer, Operation, job_answer
from api.queries import DeadQuery, PurgeQuery
from api.schemas import ReplayBody
from api.services import services
from headrace.core.errors import (
    JobNotFound,
    LimitExceeded,
    NotReplayable,
    QueueFull,
    WrongState,
)
from headrace.core.jobs.dead_letter import DeadLetter

log = structlog.get_logger()

blueprint = Blueprint("dead", __name__, url_prefix="/v1/dead")


@blueprint.get("")
@Operation(query=DeadQuery, answers={200: Answer(DeadLetterList)})
def index(query: DeadQuery) -> Response:
    """The dead letters, the newest first."""
    letters = services().dead_letters.list(query.limit, caller().sees)
    view: DeadLetterList = {"object": "list", "data": [letter_json(each) for each in letters]}
    return jsonify(view)


@blueprint.get("/<job_id>")
@Operation(answers={200: Answer(DeadLetterView, headers=(JOB_HEADER,))}, refuses=(JobNotFound,))
def show(job_id: str) -> Response:
    """A dead letter, and why it is one."""
    response = jsonify(letter_json(services().dead_letters.get(arguments.job_id(job_id))))
    response.headers[JOB_HEADER] = job_id
    return response


@blueprint.post("/<job_id>/replay")
@Operation(
    body=ReplayBody,
    needs_body=False,
    answers={202: job_answer(JobView, "Location", may_have=RATES)},
    refuses=(JobNotFound, NotReplayable, QueueFull, LimitExceeded),
)
def replay(job_id: str, body: ReplayBody) -> Response:
    """Ask the same again, as a new job.

    Asked for again, it is the same new job.
    """
    replayed = services().admission.replay(arguments.job_id(job_id), body.force)
    log.info("dead letter replayed", job_id=replayed.job_id, replay_of=job_id)
    response = job_response(services().queue.get(replayed.job_id))
    response.status_code = 202
    response.headers["Location"] = url_for("jobs.show", job_id=replayed.job_id)
    return response


@blueprint.delete("/<job_id>")
@Operation(answers={204: Answer()}, refuses=(JobNotFound, WrongState))
def purge(job_id: str) -> Response:
    """Remove a dead letter with its prompt."""
    services().dead_letters.purge(arguments.job_id(job_id))
    log.info("dead letter purged", job_id=job_id)
    return Response(status=204)


@blueprint.delete("")
@Operation(query=PurgeQuery, answers={200: Answer(Purged)})
def purge_all(query: PurgeQuery) -> Response:
    """Remove all dead letters of some age."""
    purged = services().dead_letters.purge_all(query.older_than_s, caller().sees)
    log.info("dead letters purged", count=purged)
    view: Purged = {"purged": purged}
    return jsonify(view)


def letter_json(letter: DeadLetter) -> DeadLetterView:
    """A dead letter as clients see it."""
    request = letter.request
    return {
        "id": letter.job_id,
        "object": "dead_letter",
        "reason": letter.reason,
        "error": letter.error,
        "request_id": request.request_id if request else None,
        "model": request.model if request else None,
        "priority": letter.priority,
        "prompt_tokens": len(request.prompt_ids) if request else None,
        "attempts": letter.attempts,
        "deaths": letter.deaths,
        "died": [
            {"worker": death.worker, "died_at": death.at, "batch_size": death.batch_size}
            for death in letter.died
        ],
        "worker": letter.worker,
        "batch_size": round(letter.batch_size, 2) if letter.batch_size else None,
        "created_at": letter.accepted,
        "ended_at": letter.ended,
        "forgotten_at": letter.forgotten,
        "replay_of": letter.replay_of,
        "replayed_as": letter.replayed_as,
    }
