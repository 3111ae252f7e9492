"""The one way in which requests of this API become jobs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from flask import Response, g, request

from api.body import read_body
from api.bundles import Bundles
from api.caller import caller
from api.rate_limits import rates_of
from api.traces import Traces
from headrace.core.api_key import Limits
from headrace.core.errors import InvalidRequest
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.handover import NO_KEY, Idempotency, Quota, Submitted
from headrace.core.jobs.pace import PaceMeter
from headrace.core.jobs.submission import Submission
from headrace.core.types import Request

KEY_HEADER = "Idempotency-Key"
USABLE_KEY = re.compile(r"[ -~]{1,255}")
QUOTED_KEY = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
"""A string of RFC 8941, as the IETF's draft of the header wants it."""


REPLAYED_HEADER = "Idempotent-Replayed"


class Admission:
    def __init__(
        self, bundles: Bundles, dead_letters: DeadLetters, pace: PaceMeter, traces: Traces
    ) -> None:
        self._bundles = bundles
        self._dead_letters = dead_letters
        self._pace = pace
        self._traces = traces

    def submit(self, requests: Sequence[Request]) -> list[Submitted]:
        """What each became: all are accepted, or none.

        Where the caller's `Idempotency-Key` came before, these are the jobs accepted then: callers
        must use the ids that come back, not those of their requests.

        Raises `QueueFull`, `DeadlineUnmeetable`, `LimitExceeded`, `IdempotencyConflict`,
        `InvalidRequest`.
        """
        visitor = caller()
        submission = Submission(
            requests,
            _idempotency(),
            pace=self._pace.current(),
            quota=_quota(visitor.limits),
            rates=rates_of(visitor),
        )
        with self._traces.enqueueing(len(requests)):
            submitted = self._bundles.send(submission)
        g.is_replayed = submitted[0].job_id != requests[0].id
        return submitted

    def replay(self, job_id: str, force: bool) -> Submitted:
        """A dead letter as a new job. Raises as `submit` and `DeadLetters.replay` do."""
        quota, rates = _quota(caller().limits), rates_of(caller())
        return self._dead_letters.replay(job_id, force, quota, rates)


def show_replay(response: Response) -> None:
    """Says in the answer that an earlier call has made its jobs."""
    if g.get("is_replayed"):
        response.headers[REPLAYED_HEADER] = "true"


def _quota(limits: Limits) -> Quota:
    return Quota(limits.running_jobs, limits.queue_share)


def _idempotency() -> Idempotency:
    """What the current request says of it. Raises `InvalidRequest`."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return NO_KEY
    if quoted := QUOTED_KEY.fullmatch(key):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if not USABLE_KEY.fullmatch(key):
        raise InvalidRequest(f"{KEY_HEADER}: 1 to 255 printable ASCII characters", KEY_HEADER)
    asked = b"\n".join([request.method.encode(), request.path.encode(), read_body()])
    return Idempotency(key, sha256(asked).hexdigest())
