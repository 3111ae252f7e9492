"""The queue and its leases on a real server."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings


@pytest.fixture
def queue(redis: Client, settings: Settings) -> JobQueue:
    return JobQueue(redis, settings)


@pytest.fixture
def leases(redis: Client, settings: Settings) -> Leases:
    return Leases(redis, settings)
