"""A client that reads a job's stream to its end, however often its connection breaks."""

from __future__ import annotations

import threading
import time

import httpx

from tests import sse
from tests.sse import Event

RETRY_S = 0.05


class StreamReader(threading.Thread):
    """`events` are those it was told, over all connections; `end` the last one.

    It hangs up by itself behind every `hang_up_every` events, if asked.
    """

    def __init__(self, url: str, job_id: str, hang_up_every: int | None = None) -> None:
        super().__init__(name=f"reader of {job_id}", daemon=True)
        self.events: list[Event] = []
        self.connections = 0
        self._address = f"{url}/v1/jobs/{job_id}/stream"
        self._hang_up_every = hang_up_every
        self._place: str | None = None
        self._stopped = threading.Event()

    @property
    def end(self) -> Event | None:
        last = self.events[-1] if self.events else None
        return last if last and last.name == "end" else None

    @property
    def tokens(self) -> int:
        return len(sse.indices(self.events))

    def run(self) -> None:
        while self.end is None and not self._stopped.is_set():
            try:
                self._read()
            except httpx.TransportError:
                time.sleep(RETRY_S)

    def read_to_the_end(self, timeout_s: float = 120.0) -> Event:
        self.join(timeout_s)
        self._stopped.set()
        assert self.end is not None, f"{self.tokens} tokens, and no end"
        return self.end

    def _read(self) -> None:
        headers = {"Last-Event-ID": self._place} if self._place else {}
        with httpx.stream("GET", self._address, headers=headers, timeout=30) as response:
            if response.status_code == 503:  # Redis is not back yet
                time.sleep(RETRY_S)
                return
            assert response.status_code == 200, response.status_code
            self.connections += 1
            for told, event in enumerate(sse.parse(response.iter_lines()), start=1):
                self.events.append(event)
                self._place = event.id or self._place
                if event.name == "end" or told == self._hang_up_every:
                    return
