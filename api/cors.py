"""Cross-origin resource sharing: which pages of other origins may use the API from a browser."""

from __future__ import annotations

import re

from flask import Response, request
from redis.exceptions import RedisError

from api import preference, request_id
from api.access_log import JOB_HEADER
from api.admission import REPLAYED_HEADER
from api.operation import RATES, RESETS, TIMING_HEADER
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.origins import ANY, normal_origin, parse_origins

EXPOSED = (
    *(request_id.HEADER, JOB_HEADER, TIMING_HEADER, REPLAYED_HEADER, preference.APPLIED),
    *("Location", "Retry-After", "x-should-retry", "WWW-Authenticate", *RATES, *RESETS),
)
"""Headers of answers that a page may read, in addition to those that every page may."""

METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
MAX_AGE_S = 600
"""Browsers remember a preflight for at most this long; a setting that changed holds after it."""

HEADER_NAMES = re.compile(r"[\w\s,-]{0,1000}", re.ASCII)


class Cors:
    """The origins of `HEADRACE_CORS_ORIGINS`; `*` counts only once there are API keys.

    Credentials are never allowed: a page shows its key in the Authorization header.
    """

    def __init__(self, origins: str, keys: ApiKeyStore) -> None:
        self._origins = parse_origins(origins)
        self._keys = keys

    def allows(self, origin: str) -> bool:
        """Return whether pages of this origin may use the API."""
        return normal_origin(origin) in self._origins or self._allows_any()

    def answer_preflight(self) -> Response | None:
        """Return the answer to a browser's question before a request; None to any other request.

        It comes before the key is looked at: browsers send none with the question.
        """
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or not self.allows(request.headers.get("Origin", "")):
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
        wanted = request.headers.get("Access-Control-Request-Headers", "")
        if wanted and HEADER_NAMES.fullmatch(wanted):
            response.headers["Access-Control-Allow-Headers"] = wanted
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            response.headers["Access-Control-Allow-Private-Network"] = "true"
        return response

    def show(self, response: Response) -> None:
        """Add the headers with which a browser lets a page read the answer."""
        if not self._origins:
            return
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is not None and self.allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)

    def _allows_any(self) -> bool:
        try:
            return ANY in self._origins and self._keys.is_locked()
        except RedisError:
            return False
