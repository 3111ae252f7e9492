"""The app on a real server, with a worker on a simulated engine behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import Client
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.conformance import Conformance


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    """Its card is in Redis; nobody turns it unless a test does."""
    return Bench(redis, settings)


@pytest.fixture
def client(bench: Bench, settings: Settings, redis_url: str) -> Iterator[FlaskClient]:
    """A client of an app whose jobs wait; all that it answers has to be as documented."""
    app = create_app(settings.model_copy(update={"redis_url": redis_url}))
    conformance = Conformance(app)
    yield app.test_client()
    app.extensions["headrace"].waiters.close()
    assert conformance.broken == []


@pytest.fixture
def served(client: FlaskClient, bench: Bench) -> Iterator[FlaskClient]:
    """A client of an app whose jobs are run."""
    with bench.serving():
        yield client


@pytest.fixture
def api_keys(redis: Client) -> ApiKeyStore:
    """The keys of the app, as the command line sees them: the first one locks it."""
    return ApiKeyStore(redis)
