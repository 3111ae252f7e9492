"""The memory of one API process while many callers wait for jobs that nobody runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from bench.api_process import ApiProcess
from bench.hammer import make_request
from bench.server import Server, empty
from headrace.core.card_store import CardStore
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.settings import load_settings

BODY = {"messages": [{"role": "user", "content": "One, two, three:"}], "max_tokens": 16}
SETTLE_S = 3.0
PATIENCE_S = 120.0
MB = 1_000_000


def measure(
    server: Server, card: ModelCard, waiting: int, headers: Sequence[str]
) -> dict[str, Any]:
    empty(server.client())
    CardStore(server.client()).put(card)
    queue = JobQueue(server.client(), load_settings())
    with ApiProcess("api.app:create_app()", REDIS_URL=server.url) as api:
        url = urlsplit(f"{api.url}/v1/chat/completions")
        request = make_request(url, json.dumps(BODY).encode(), list(headers))
        before = api.rss_bytes()
        during = asyncio.run(_wait_together(api, queue, request, waiting))
    return {
        "rss_mb_idle": round(before / MB, 1),
        "rss_mb_waiting": round(during / MB, 1),
        "waiting_requests": waiting,
    }


async def _wait_together(api: ApiProcess, queue: JobQueue, request: bytes, waiting: int) -> int:
    """Bytes when all of them wait. Raises `TimeoutError` where they never do."""
    async with AsyncExitStack() as connections:
        for _caller in range(waiting):
            _reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            connections.callback(writer.transport.abort)
            writer.write(request)
        until = time.monotonic() + PATIENCE_S
        while queue.waiting() < waiting:
            if time.monotonic() > until:
                raise TimeoutError(f"only {queue.waiting()} of {waiting} requests wait")
            await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLE_S)
        return api.rss_bytes()
