"""What a route takes and answers, said once beside its view: requests are read by it, and
`openapi.py` writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response, request

from api.access_log import JOB_HEADER
from api.admission import REPLAYED_HEADER
from api.body import read_json, read_optional_json
from api.queries import Query
from api.schemas import StrictBody
from headrace.core.errors import (
    DeadlineUnmeetable,
    IdempotencyConflict,
    LimitExceeded,
    QueueFull,
    SchemaUndecided,
    Unavailable,
    UnknownModel,
)

View = Callable[..., Response]

TIMING_HEADER = "Server-Timing"

SUBMISSION = (
    *(UnknownModel, QueueFull, DeadlineUnmeetable, SchemaUndecided),
    *(LimitExceeded, IdempotencyConflict, Unavailable),
)
"""What may be said to who asks for a new job."""

RATES = tuple(
    f"x-ratelimit-{what}-{kind}"
    for kind in ("requests", "tokens")
    for what in ("limit", "remaining")
)
RESETS = tuple(f"x-ratelimit-reset-{kind}" for kind in ("requests", "tokens"))
"""Headers that speak of the limits of the caller's key."""

SUBMITTED = (REPLAYED_HEADER, *RATES, *RESETS)
"""Headers that an answer to a submission may have."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one status: the type of its JSON, and the media types in which it may be text instead.

    `headers` it always has, beside those of every answer; `may_have` some that it has at times.
    """

    json: Any = None
    texts: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()


def job_answer(json: Any, *headers: str, may_have: tuple[str, ...] = ()) -> Answer:
    """One that tells of a job."""
    return Answer(json, headers=(JOB_HEADER, TIMING_HEADER, *headers), may_have=may_have)


@dataclass(frozen=True, slots=True)
class Operation:
    """A decorator: the view is called with what the request says, as `query` and `body`.

    With a `Query` without fields the address takes no parameters; None: nobody looks at them.
    `headers` are those of the request that count. `refuses` are errors that the view raises, beside
    those of every route; one that is not `durable` does without Redis.
    """

    answers: Mapping[int, Answer]
    query: type[Query] | None = Query
    body: type[StrictBody] | None = None
    needs_body: bool = True
    headers: tuple[str, ...] = ()
    refuses: tuple[type[Exception], ...] = ()
    durable: bool = True

    def __call__(self, view: View) -> View:
        @wraps(view)
        def answer(**path: str) -> Response:
            return view(**path, **self._read())

        vars(answer)["operation"] = self
        return answer

    def _read(self) -> dict[str, Any]:
        """Raises `InvalidRequest`."""
        read: dict[str, Any] = {}
        if self.query is not None:
            takes = bool(self.query.model_fields)
            if request.query_string or takes:
                query = self.query.parse(request.args)
            if takes:
                read["query"] = query
        if self.body is not None:
            read["body"] = self.body.parse(read_json() if self.needs_body else read_optional_json())
        return read
