"""A short run of schemathesis against the app behind a server; `make fuzz-api` is the long one."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from api.app import create_app
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.fuzzing import ROOT, command

SHORT = ("--max-examples", "3", "--seed", "1", "--generation-deterministic", "--no-shrink")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_wait_s": 1.0})


@pytest.fixture
def key(api_keys: ApiKeyStore) -> str:
    return api_keys.create("root", frozenset({Scope.ADMIN}))[0]


@contextmanager
def behind_a_server(app: Flask) -> Iterator[str]:
    """Its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fuzz(url: str, key: str, *options: str) -> subprocess.CompletedProcess[str]:
    asked = command(url, key, *SHORT, *options)
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=110)


def test_nothing_that_may_be_sent_breaks_it(client: FlaskClient, bench: Bench, key: str) -> None:
    with behind_a_server(client.application) as url, bench.serving():
        run = fuzz(url, key, "--phases", "examples,coverage,fuzzing")

    assert run.returncode == 0, run.stdout[-200000:] + run.stderr[-2000:]


def test_an_answer_that_is_not_as_documented_is_found(
    settings: Settings, redis_url: str, key: str
) -> None:
    app = create_app(settings.model_copy(update={"redis_url": redis_url}))
    documented = app.view_functions["dead.index"]

    def index() -> Response:
        return jsonify({"object": "list"})

    vars(index)["operation"] = vars(documented)["operation"]
    app.view_functions["dead.index"] = index
    with behind_a_server(app) as url:
        run = fuzz(url, key, "--include-path", "/v1/dead", "--include-method", "GET")
    app.extensions["headrace"].waiters.close()

    assert run.returncode == 1
    assert '"data" is a required property' in run.stdout, run.stdout[-4000:]
