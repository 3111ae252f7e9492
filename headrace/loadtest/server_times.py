"""What a Headrace says about the jobs of a level, asked after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

from headrace.core.errors import Unavailable
from headrace.loadtest.record import Record, ServerTimes
from headrace.loadtest.target import Target

MOST_JOBS = 2000
AT_A_TIME = 8
MOST_S = 30.0
"""A server that does not answer these questions must not hold up the test."""


async def add_server_times(target: Target, records: Sequence[Record]) -> Sequence[str]:
    """Fills `server` where a request has a job; returns notes on what is missing."""
    jobs = [record for record in records if record.job_id and record.server is None]
    asked = evenly(jobs, MOST_JOBS)
    gate = asyncio.Semaphore(AT_A_TIME)
    with suppress(TimeoutError):
        async with asyncio.timeout(MOST_S):
            await asyncio.gather(*(_add(target, record, gate) for record in asked))
    silent = sum(record.server is None for record in asked)
    notes = []
    if len(asked) < len(jobs):
        notes.append(f"stages of {len(asked)} of {len(jobs)} jobs, evenly spaced")
    if silent:
        notes.append(f"{silent} of {len(asked)} jobs say nothing about their stages")
    return notes


def evenly(records: Sequence[Record], most: int) -> list[Record]:
    """At most so many, evenly spaced."""
    if len(records) <= most:
        return list(records)
    return [records[number * len(records) // most] for number in range(most)]


async def _add(target: Target, record: Record, gate: asyncio.Semaphore) -> None:
    async with gate:
        try:
            job = await target.get(f"/v1/jobs/{quote(record.job_id or '', safe='')}")
            record.server = ServerTimes.of_job(job)
        except (Unavailable, LookupError, TypeError, AttributeError):
            return
