"""What stands in the address of the current request."""

from __future__ import annotations

import re

from flask import request

from api.caller import caller
from api.services import services
from headrace.core.errors import InvalidRequest, JobNotFound

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST = 1e9
FLAGS = {"true": True, "false": False}


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


def only(*names: str) -> None:
    """Raises `InvalidRequest` for any other parameter: a misspelt one must not be ignored."""
    for name in request.args:
        if name not in names:
            takes = f"takes only {', '.join(names)}" if names else "takes none"
            raise InvalidRequest(f"{name}: no such query parameter; this address {takes}", name)


def number(name: str, default: float | None = None, most: float = MOST, least: float = 0) -> float:
    """Raises `InvalidRequest`; also where it is missing and has no default."""
    text = request.args.get(name, default)
    try:
        value = float("nan" if text is None else text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise InvalidRequest(f"{name}: a number from {least:g} to {most:g}", name)
    return value


def flag(name: str) -> bool:
    """False where it is missing. Raises `InvalidRequest`."""
    try:
        return FLAGS[request.args.get(name, "false")]
    except KeyError as error:
        raise InvalidRequest(f"{name}: true or false", name) from error
