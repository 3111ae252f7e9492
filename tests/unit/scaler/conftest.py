"""A worker and its queue on a real server that has run for long enough."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.settings import Settings
from scaler import reader
from tests.bench import Bench


@pytest.fixture(autouse=True)
def _a_server_that_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the tests may just have been started."""
    monkeypatch.setattr(reader, "SETTLE_S", 0.0)


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    return Bench(redis, settings.model_copy(update={"max_slots": 2}), name="worker-1-a3f9")
