"""The headers of requests and answers as the OpenAPI document tells of them."""

from __future__ import annotations

from typing import Any

from api import job_stream, preference, request_id
from api.access_log import JOB_HEADER
from api.admission import KEY_HEADER, REPLAYED_HEADER
from api.content_encoding import READABLE
from api.operation import RATES, RESETS, TIMING_HEADER

DURATION = "^([0-9]+m)?[0-9]+m?s$"


def _described(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"} | schema}


PARAMETERS: dict[str, dict[str, Any]] = {
    KEY_HEADER: _described(
        "The same key and the same body bring the same job, however often they are sent. Quotes "
        "around a key are no part of it.",
        pattern="^[!-~]([ -~]{0,253}[!-~])?$",
    ),
    preference.HEADER: _described(
        "`wait=S` waits up to S seconds; what else stands in it is ignored."
    ),
    job_stream.HEADER: _described(
        "The id of the last event that the reader saw.", pattern=f"^({job_stream.PLACE.pattern})?$"
    ),
    request_id.HEADER: _described("An id for log lines; one that is not usable is replaced."),
}
"""Of requests."""

HEADERS: dict[str, dict[str, Any]] = {
    request_id.HEADER: _described(
        "The id of this request.", pattern=f"^{request_id.USABLE.pattern}$"
    ),
    JOB_HEADER: _described("The ids of the jobs that this tells of, with commas between."),
    TIMING_HEADER: _described("The stages of the job."),
    REPLAYED_HEADER: _described("An earlier call made these jobs.", const="true"),
    preference.APPLIED: _described("How much of the wait was granted.", pattern="^wait=[0-9]+$"),
    "Location": _described("Where the job is."),
    "Accept-Encoding": _described("Encodings of bodies that can be read.", const=READABLE),
    "Retry-After": _described("Seconds.", type="integer", minimum=1),
    "x-should-retry": _described("A retry would submit a second job.", const="false"),
    "WWW-Authenticate": _described("How to show a key."),
    **{
        name: _described("Of a minute's, for the caller's key.", type="integer", minimum=0)
        for name in RATES
    },
    **{
        name: _described("Time until the whole limit remains again.", pattern=DURATION)
        for name in RESETS
    },
}
"""Of answers."""
