"""Calls of the OpenAI-compatible routes, as tests make and read them."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.test import TestResponse

from tests.bench import Bench

CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "temperature": 0}
TEXT = {"prompt": "hello", "max_tokens": 3, "temperature": 0}


def chunks(body: str) -> list[dict[str, Any]]:
    """The events of a stream before its [DONE]."""
    events = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def seeds(bench: Bench, response: TestResponse) -> list[int]:
    job_ids = response.headers["X-Headrace-Job-Id"].split(", ")
    return [bench.queue.get(job_id).request.sampling.seed for job_id in job_ids]
