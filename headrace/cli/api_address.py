"""Where the API will be, whether it can be there, and whether it serves yet."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass

from headrace.core.clock import Clock
from headrace.core.errors import SettingsError
from headrace.core.exposure import ANY_ADDRESS, local_url

TIMEOUT_S = 1.0


@dataclass(frozen=True)
class ApiAddress:
    """The API's host and port as it binds them."""

    host: str
    port: int
    port_variable: str = "HEADRACE_PORT"

    @property
    def url(self) -> str:
        """As a client on this machine reaches it."""
        return local_url(self.host, self.port)

    def wait_until_free(self, patience_s: float, clock: Clock) -> None:
        """Raises `SettingsError` when the API could not bind to it even after `patience_s`."""
        deadline = clock.now() + patience_s
        while problem := self._problem():
            if clock.now() >= deadline:
                raise SettingsError(
                    f"HEADRACE_HOST, {self.port_variable}: cannot listen on "
                    f"{self.host}:{self.port}: {problem}; set another"
                )
            clock.sleep(0.1)

    def is_serving(self, workers: int = 1) -> bool:
        """True once the API answers ready and one of the workers, if there are any, is as well."""
        try:
            status, body = self._get("/readyz")
            return status == 200 and json.loads(body)["workers"]["ready"] >= min(1, workers)
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            return False

    def is_alive(self) -> bool:
        """True where a process answers for itself, whatever becomes of Redis."""
        try:
            return self._get("/healthz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _get(self, path: str) -> tuple[int, bytes]:
        # Not httpx: it would ask the proxy that the environment may name.
        connection = http.client.HTTPConnection(self._reachable_host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _problem(self) -> str | None:
        """Why nothing can listen here now."""
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(place)
        except OSError as error:
            return error.strerror
        return None

    @property
    def _reachable_host(self) -> str:
        return ANY_ADDRESS.get(self.host, self.host)
