"""How long after a job's end its waiting caller has the last byte, on an idle system."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from rich.progress import track

from bench.pairs import console
from headrace.loadtest.quantiles import percentile

BODY = {"prompt": "One, two, three:", "max_tokens": 4, "temperature": 0}
THINK_S = (0.02, 0.1)


def measure(url: str, requests: int, headers: Sequence[str]) -> dict[str, Any]:
    """Redis TIME against ours: the same machine, the same clock."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    named = dict(header.split(": ", 1) for header in headers)
    draw, lags = random.Random(0), list[float]()
    for _request in track(range(requests), "last byte", console=console):
        time.sleep(draw.uniform(*THINK_S))
        lags.append(_lag_s(connection, named) * 1000)
    lags.sort()
    spread = {f"p{percent}": round(percentile(lags, percent), 2) for percent in (50, 95)}
    return {"finish_to_last_byte_ms": spread, "last_byte_requests": requests}


def _lag_s(connection: http.client.HTTPConnection, headers: dict[str, str]) -> float:
    typed = headers | {"Content-Type": "application/json"}
    connection.request("POST", "/v1/completions", json.dumps(BODY), typed)
    answer = connection.getresponse()
    answer.read()
    now = time.time()
    if answer.status != http.client.OK:
        raise RuntimeError(f"a completion was answered with {answer.status}")
    connection.request("GET", f"/v1/jobs/{answer.headers['X-Headrace-Job-Id']}", headers=headers)
    job = json.loads(connection.getresponse().read())
    return float(now - job["timings"]["committed_at"])
