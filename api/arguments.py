"""The id of a job in the address of the current request."""

from __future__ import annotations

import re

from api.caller import caller
from api.services import services
from headrace.core.errors import JobNotFound

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def job_id(text: str) -> str:
    """Raises `JobNotFound` for what can be no id, which never becomes part of a key.

    And for another tenant's job: its caller is not told whether there is one.
    """
    if not JOB_ID.fullmatch(text) or not _is_visible(text):
        raise JobNotFound("no job with this id")
    return text


def _is_visible(job_id: str) -> bool:
    """Whether the caller may know of the job; a caller who sees all is not asked."""
    tenant = caller().sees
    try:
        return tenant is None or services().queue.tenant_of(job_id) == tenant
    except JobNotFound:
        return False
