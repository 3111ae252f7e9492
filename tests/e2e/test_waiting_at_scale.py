"""A thousand callers who wait and five hundred who read, on one API process."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from headrace.core.connection import API_TIMEOUT_S, MAX_CONNECTIONS, Client, connect
from headrace.core.jobs import rq_adapter
from tests import sse
from tests.deployment import Deploy, Deployment

WAITING, STREAMING = 1000, 500
TOKENS = 8
MOST_MEMORY = 300 * 2**20
OF_OTHERS = 10
A_SHELL_ALLOWS = 1024
PATIENCE = aiohttp.ClientTimeout(total=180)


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Deployment:
    """Started where a process may open no more files than a shell usually allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (A_SHELL_ALLOWS, hard))
    deployment = deploy(
        HEADRACE_ENGINE="simulated",
        HEADRACE_MAX_SLOTS="256",
        HEADRACE_SIMULATED_ALPHA_S="0.05",
        HEADRACE_SIMULATED_BETA_S="0",
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    return deployment


@pytest.fixture
def redis(deployment: Deployment) -> Iterator[Client]:
    client = connect(deployment.redis_url, API_TIMEOUT_S)
    yield client
    client.connection_pool.disconnect()


def memory(pid: int) -> int:
    """Bytes that a process and its children have in RAM."""
    status = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(status.split()[0]) * 1024 + sum(memory(int(child)) for child in children)


async def ask(session: aiohttp.ClientSession) -> str:
    """Submits and waits; the status of the job in the answer."""
    body = {"prompt": "hello", "max_tokens": TOKENS}
    headers = {"Prefer": "wait=120"}
    async with session.post("/v1/jobs", json=body, headers=headers) as response:
        return f"{response.status} {(await response.json())['status']}"


async def read(session: aiohttp.ClientSession, begun: asyncio.Semaphore) -> list[int]:
    """Submits and reads the stream; the indices that it was told."""
    async with session.post("/v1/jobs", json={"prompt": "hello", "max_tokens": TOKENS}) as response:
        job_id = (await response.json())["id"]
    async with session.get(f"/v1/jobs/{job_id}/stream") as response:
        assert response.status == 200
        await response.content.readline()
        begun.release()
        lines = [line.decode().rstrip("\n") async for line in response.content]
    events = list(sse.parse(lines))
    assert events[-1].name == "end"
    return sse.indices(events)


async def until_all_wait(redis: Client, begun: asyncio.Semaphore) -> None:
    for _reader in range(STREAMING):
        await begun.acquire()
    while redis.llen(rq_adapter.queue_key("headrace-default")) < WAITING + STREAMING:
        await asyncio.sleep(0.05)


async def crowd(deployment: Deployment, redis: Client) -> tuple[list[str], list[list[int]], int]:
    """Everybody comes while no worker may run anything, is counted, and is served."""
    begun = asyncio.Semaphore(0)
    url, connector = deployment.url, aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, timeout=PATIENCE) as asker:
        waiting = [asyncio.create_task(ask(asker)) for _caller in range(WAITING)]
        reading = [asyncio.create_task(read(asker, begun)) for _reader in range(STREAMING)]
        await asyncio.wait_for(until_all_wait(redis, begun), 90)
        used = memory(deployment.pid("api"))
        redis.delete(rq_adapter.SUSPENDED_KEY)
        return await asyncio.gather(*waiting), await asyncio.gather(*reading), used


def test_a_thousand_wait_and_five_hundred_read_on_one_process(
    deployment: Deployment, redis: Client
) -> None:
    redis.set(rq_adapter.SUSPENDED_KEY, 1)

    answers, indices, used = asyncio.run(crowd(deployment, redis))

    assert answers == ["200 succeeded"] * WAITING
    assert indices == [list(range(TOKENS))] * STREAMING
    assert used < MOST_MEMORY
    assert len(redis.client_list()) <= MAX_CONNECTIONS + OF_OTHERS
