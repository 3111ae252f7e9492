"""The `Prefer` header of the current request (RFC 7240): what is not understood is ignored."""

from __future__ import annotations

import re

from flask import request

from api.services import services

HEADER, APPLIED = "Prefer", "Preference-Applied"
WAIT = re.compile(r'\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:;.*)?', re.IGNORECASE)


def wait_s() -> int:
    """`wait=5`, or as much of it as is granted; 0 where nothing is asked."""
    for preference in request.headers.get(HEADER, "").split(","):
        if found := WAIT.fullmatch(preference):
            return min(int(found[1]), int(services().settings.max_wait_s))
    return 0
