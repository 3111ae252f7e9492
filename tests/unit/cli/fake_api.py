"""An API that answers what it was told to, and remembers what it was asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class FakeApi:
    """`answers` maps a path without its query to a status and a body: JSON, or text as it is."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []
        self.methods: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.methods.append(self.command)
                api.asked.append(self.path)
                api.keys.append(self.headers["Authorization"])
                status, body = api.answers[self.path.partition("?")[0]]
                self.send_response(status)
                self.end_headers()
                text = body if isinstance(body, str) else json.dumps(body)
                self.wfile.write(text.encode())

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                api.bodies.append(json.loads(self.rfile.read(length)))
                self.do_GET()

            do_DELETE = do_GET
            do_PATCH = do_POST

            def log_message(self, *_: object) -> None: ...

        return Handler
