"""The body of the current request as JSON."""

from __future__ import annotations

from typing import Any

from flask.globals import request_ctx
from werkzeug.exceptions import RequestEntityTooLarge

from api.json_text import parse_json
from api.services import services
from api.unicode import require_unicode
from headrace.core.errors import InvalidRequest


def read_json() -> Any:
    """Raises `InvalidRequest` for anything that is not JSON of Unicode text in UTF-8."""
    try:
        text = _read().decode("utf-8")
        value = parse_json(text)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not UTF-8", "body") from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}", "body") from error
    require_unicode(text, value)
    return value


def read_optional_json() -> Any:
    """The same; `{}` where the request has no body."""
    return read_json() if _read() else {}


def _read() -> bytes:
    try:
        body = request_ctx.request.get_data()
    except OSError as error:
        raise InvalidRequest("the body could not be read to its end", "body") from error
    # A chunked body says no length beforehand: Flask cuts it off at its own limit, one byte on.
    if len(body) > services().settings.max_body_bytes:
        raise RequestEntityTooLarge
    return body
