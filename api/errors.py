"""From errors to answers: one table, one body (OpenAI's)."""

from __future__ import annotations

import errno
from math import ceil
from typing import NamedTuple

import structlog
from flask import Flask, Response, current_app, g, jsonify, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from api.access_log import JOB_HEADER
from api.addresses import addresses
from api.answers import Failure, Refused
from api.caller import BEARER
from api.content_encoding import READABLE
from api.services import services
from headrace.core.errors import (
    CallerLeft,
    DeadlineExceeded,
    DeadlineUnmeetable,
    Forbidden,
    HeadraceError,
    IdempotencyConflict,
    InvalidRequest,
    JobFailed,
    JobNotFound,
    LimitExceeded,
    MayRetry,
    NotReplayable,
    OutOfDescriptors,
    QueueFull,
    SchemaUndecided,
    SchemaViolation,
    Unauthorised,
    Unavailable,
    UnknownModel,
    UntrustedHost,
    WaitEnded,
    WrongState,
)
from headrace.core.redis_errors import cause_of, words_of

HTTP_CODES = {
    404: "unknown_url",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_encoding",
}
HTTP_PARAMS = {413: "body", 415: "Content-Encoding"}

RETRY_AFTER_S = 1
MAY_RETRY = {"Retry-After": str(RETRY_AFTER_S)}
MUST_NOT_RETRY = {"x-should-retry": "false"}
"""The official client would submit a second job otherwise."""

log = structlog.get_logger()


class Refusal(NamedTuple):
    """`rejected` names the reason in metrics, where no job was accepted."""

    status: int
    type: str
    headers: dict[str, str] = {}  # noqa: RUF012 -- never changed
    rejected: str = ""


TABLE: dict[type[Exception], Refusal] = {
    Unauthorised: Refusal(
        401, "invalid_request_error", {"WWW-Authenticate": BEARER}, "unauthorised"
    ),
    UntrustedHost: Refusal(421, "invalid_request_error", rejected="unauthorised"),
    Forbidden: Refusal(403, "permission_error", rejected="unauthorised"),
    UnknownModel: Refusal(404, "invalid_request_error", rejected="unknown_model"),
    InvalidRequest: Refusal(400, "invalid_request_error", rejected="invalid_request"),
    JobNotFound: Refusal(404, "invalid_request_error"),
    WrongState: Refusal(409, "invalid_request_error"),
    NotReplayable: Refusal(409, "invalid_request_error"),
    IdempotencyConflict: Refusal(
        422, "invalid_request_error", MUST_NOT_RETRY, "idempotency_conflict"
    ),
    LimitExceeded: Refusal(429, "rate_limit_error", MAY_RETRY, "rate_limited"),
    QueueFull: Refusal(429, "rate_limit_error", MAY_RETRY, "queue_full"),
    SchemaUndecided: Refusal(503, "service_unavailable", MAY_RETRY, "schema_undecided"),
    DeadlineUnmeetable: Refusal(429, "rate_limit_error", MAY_RETRY, "deadline_unmeetable"),
    Unavailable: Refusal(503, "service_unavailable", MAY_RETRY, "unavailable"),
    RedisError: Refusal(503, "service_unavailable", MAY_RETRY, "unavailable"),
    WaitEnded: Refusal(504, "timeout", MUST_NOT_RETRY),
    CallerLeft: Refusal(499, "job_failed", MUST_NOT_RETRY),
    DeadlineExceeded: Refusal(504, "job_failed", MUST_NOT_RETRY),
    SchemaViolation: Refusal(422, "job_failed", MUST_NOT_RETRY),
    JobFailed: Refusal(500, "job_failed", MUST_NOT_RETRY),
}
"""The first class that an error is of decides. Some errors know better values of its headers."""


def error_body(error: Exception, kind: str) -> Failure:
    """`job_id` stands in the body where a job goes on or has ended without the caller."""
    if isinstance(error, RedisError):
        error = Unavailable(f"the queue's Redis {cause_of(error)}")
    body: Failure = {
        "message": str(error),
        "type": kind,
        "param": getattr(error, "param", None),
        "code": getattr(error, "code", HeadraceError.code),
    }
    if isinstance(error, WaitEnded | JobFailed):
        body["job_id"] = error.job_id
    return body


def register_error_handlers(app: Flask) -> None:
    for kind in TABLE:
        app.register_error_handler(kind, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(OSError, _refuse_for_descriptors)
    app.register_error_handler(Exception, _fail)


def _refuse(error: Exception) -> Response:
    refusal = next(TABLE[kind] for kind in TABLE if isinstance(error, kind))
    if isinstance(error, RedisError):
        log.warning("Redis refuses or is away", error=words_of(error))
    if refusal.rejected and request.method == "POST":
        services().metrics.rejected(refusal.rejected)
    headers = refusal.headers | _own_headers(error)
    response = _answer(refusal.status, error_body(error, refusal.type), headers)
    if isinstance(error, WaitEnded | JobFailed):
        response.headers[JOB_HEADER] = error.job_id
    return response


def _own_headers(error: Exception) -> dict[str, str]:
    """What only this error can say."""
    if isinstance(error, Unauthorised):
        return {"WWW-Authenticate": error.challenge}
    if isinstance(error, LimitExceeded) and error.retry_after_s is not None:
        return {"Retry-After": str(max(1, ceil(error.retry_after_s)))}
    if isinstance(error, MayRetry):
        return {"Retry-After": str(error.retry_after_s)}
    return {}


def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status == 413:
        services().metrics.rejected("body_too_large")
    kind, code = ("invalid_request_error", "invalid_request")
    if status >= 500:
        kind, code = ("server_error", "internal_error")
    body: Failure = {
        "message": _words(error),
        "type": kind,
        "param": HTTP_PARAMS.get(status),
        "code": HTTP_CODES.get(status, code),
    }
    return _answer(status, body, _own_http_headers(error))


def _words(error: HTTPException) -> str:
    if request.url_rule is None and error.code == 404:
        return (
            f"{request.method} {request.path[:200]}: no such address; there are "
            f"{', '.join(addresses(current_app))}"
        )
    return error.description or error.name


def _own_http_headers(error: HTTPException) -> dict[str, str]:
    """The methods that an address does take (HTTP wants them in every 405), and the encodings."""
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        return {"Allow": ", ".join(sorted(error.valid_methods))}
    return {"Accept-Encoding": READABLE} if error.code == 415 else {}


def _refuse_for_descriptors(error: OSError) -> Response:
    if error.errno not in (errno.EMFILE, errno.ENFILE):
        return _fail(error)
    return _refuse(OutOfDescriptors("this process or machine has too many files open: ask again"))


def _fail(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _answer(500, error_body(HeadraceError("internal error"), "server_error"), {})


def _answer(status: int, error: Failure, headers: dict[str, str]) -> Response:
    g.error_code = error["code"]  # for the log; never the message, it may quote
    refused: Refused = {"error": error}
    response = jsonify(refused)
    response.status_code = status
    response.headers.update(headers)
    return response
