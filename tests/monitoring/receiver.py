"""Somebody whom Alertmanager tells, and who writes it down."""

from __future__ import annotations

import json
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.http_receiver import listening


class Receiver:
    """Keeps each message with the path it came to."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self._stack = ExitStack()
        self.address = self._stack.enter_context(listening(self._hear)).removeprefix("http://")

    def told(self, path: str) -> list[tuple[str, str]]:
        """Each alert that came to the path, with its status: `firing` or `resolved`."""
        return [
            (str(message["groupLabels"]["alertname"]), str(message["status"]))
            for place, message in list(self.messages)
            if place == path
        ]

    def close(self) -> None:
        self._stack.close()

    def _hear(self, request: BaseHTTPRequestHandler, body: bytes) -> int:
        self.messages.append((request.path, json.loads(body)))
        return 200
