"""A reader that notes how long it waits between tokens, as somebody beside others does."""

from __future__ import annotations

import threading
import time

import httpx

from tests import sse
from tests.deployment import Deployment


class GapWatch(threading.Thread):
    """Streams one job after the other until it is stopped; `gaps_s` lie within a job each."""

    def __init__(self, deployment: Deployment, prompt: str, max_tokens: int) -> None:
        super().__init__(name="gap watch", daemon=True)
        self.gaps_s: list[float] = []
        self.job_ids: list[str] = []
        self._deployment = deployment
        self._prompt = prompt
        self._max_tokens = max_tokens
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            job_id = self._deployment.submit(self._prompt, max_tokens=self._max_tokens)
            self.job_ids.append(job_id)
            self._read(job_id)

    def stop(self) -> None:
        """Reads the present job to its end."""
        self._stopped.set()
        self.join(120)

    def _read(self, job_id: str) -> None:
        address = f"{self._deployment.url}/v1/jobs/{job_id}/stream"
        last = None
        with httpx.stream("GET", address, timeout=60) as response:
            for event in sse.parse(response.iter_lines()):
                now = time.monotonic()
                if event.name == "token" and last is not None:
                    self.gaps_s.append(now - last)
                last = now if event.name == "token" else last


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
