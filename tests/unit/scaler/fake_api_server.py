"""An API server of Kubernetes that knows the scale of one StatefulSet, and can be in trouble."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

PATH = "/apis/apps/v1/namespaces/headrace/statefulsets/headrace-worker/scale"
TOKEN = "Bearer of-the-scaler"


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    content_type: str | None
    body: Any


class FakeApiServer(ThreadingHTTPServer):
    """`trouble` answers each call of a verb with a status; `is_slow` with nothing at all."""

    daemon_threads = True

    def __init__(self, replicas: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replicas = replicas
        self.version = 1
        self.trouble: dict[str, int] = {}
        self.is_slow = False
        self.over = Event()
        self.calls: list[Call] = []

    @property
    def patches(self) -> list[int]:
        """What was asked for."""
        return [call.body["spec"]["replicas"] for call in self.calls if call.method == "PATCH"]

    def scale(self) -> dict[str, Any]:
        """As the real one, which leaves a 0 out of the specification."""
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": "headrace-worker",
                "namespace": "headrace",
                "resourceVersion": str(self.version),
            },
            "spec": {"replicas": self.replicas} if self.replicas else {},
            "status": {"replicas": self.replicas, "selector": "app=worker"},
        }

    def change(self, replicas: int) -> None:
        self.replicas = replicas
        self.version += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeApiServer

    def do_GET(self) -> None:
        self._answer(None)

    def do_PATCH(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        server = self.server
        server.calls.append(Call(self.command, self.path, self.headers["Content-Type"], body))
        if server.is_slow:
            server.over.wait()
            self.close_connection = True
            return
        status = self._status(body)
        if status == 200 and body:
            server.change(body["spec"]["replicas"])
        self._send(status, server.scale() if status == 200 else {"kind": "Status", "code": status})

    def _status(self, body: Any) -> int:
        if self.headers["Authorization"] != TOKEN:
            return 401
        if self.path != PATH:
            return 404
        if body and body["metadata"]["resourceVersion"] != str(self.server.version):
            return 409
        return self.server.trouble.get(self.command, 200)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def fake_api_server(replicas: int) -> Iterator[FakeApiServer]:
    server = FakeApiServer(replicas)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def write_kubeconfig(path: Path, port: int) -> None:
    cluster = {"server": f"http://127.0.0.1:{port}"}
    user = {"token": TOKEN.removeprefix("Bearer ")}
    context = {"cluster": "fake", "user": "scaler"}
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "clusters": [{"name": "fake", "cluster": cluster}],
                "users": [{"name": "scaler", "user": user}],
                "contexts": [{"name": "fake", "context": context}],
            }
        )
    )
