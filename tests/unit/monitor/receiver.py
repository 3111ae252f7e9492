"""A receiver of alerts, which may be told to fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.http_receiver import listening


class Receiver:
    """`heard` are paths and bodies, in their order; while `is_deaf` all are answered with 500."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.is_deaf = False
        self.url = ""


@contextmanager
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    def heard(request: BaseHTTPRequestHandler, body: bytes) -> int:
        if found.is_deaf:
            return 500
        found.heard.append((request.path, json.loads(body)))
        return 200

    with listening(heard) as found.url:
        yield found
