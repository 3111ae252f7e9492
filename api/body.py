"""The body of the current request as JSON."""

from __future__ import annotations

from typing import Any

from flask.globals import request_ctx
from werkzeug.exceptions import RequestEntityTooLarge

from api.content_encoding import decode
from api.json_text import parse_json
from api.services import services
from api.unicode import require_unicode
from headrace.core.errors import InvalidRequest

KEPT = "headrace.body"
"""Where the environment of a request keeps its body."""


def read_json() -> Any:
    """Raises `InvalidRequest` for anything that is not JSON of Unicode text in UTF-8."""
    try:
        text = read_body().decode("utf-8-sig")
        value = parse_json(text)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not UTF-8", "body") from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}", "body") from error
    require_unicode(text, value)
    return value


def read_optional_json() -> Any:
    """The same; `{}` where the request has no body."""
    return read_json() if read_body() else {}


def read_body() -> bytes:
    """Returns it as it was before its sender compressed it.

    Raises `InvalidRequest`, `RequestEntityTooLarge`, `UnsupportedMediaType`.
    """
    request = request_ctx.request
    if KEPT not in request.environ:
        encoding = request.headers.get("Content-Encoding", "")
        most = services().settings.max_body_bytes
        request.environ[KEPT] = decode(_read(), encoding, most)
    body: bytes = request.environ[KEPT]
    return body


def _read() -> bytes:
    try:
        body = request_ctx.request.get_data()
    except OSError as error:
        raise InvalidRequest("the body could not be read to its end", "body") from error
    # A chunked body says no length beforehand: Flask cuts it off at its own limit, one byte on.
    if len(body) > services().settings.max_body_bytes:
        raise RequestEntityTooLarge
    return body
