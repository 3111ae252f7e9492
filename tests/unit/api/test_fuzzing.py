"""A short run of schemathesis against the app behind a server; `make fuzz-api` is the long one."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator

import pytest
from flask import jsonify
from flask.testing import FlaskClient
from werkzeug.serving import make_server

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
def url(client: FlaskClient, bench: Bench) -> Iterator[str]:
    """Of the app behind a server, with a worker."""
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with bench.serving():
        yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key(api_keys: ApiKeyStore) -> str:
    return api_keys.create("root", frozenset({Scope.ADMIN}))[0]


def fuzz(url: str, key: str, *options: str) -> subprocess.CompletedProcess[str]:
    asked = command(url, key, *SHORT, *options)
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=110)


def test_nothing_that_may_be_sent_breaks_it(url: str, key: str) -> None:
    run = fuzz(url, key, "--phases", "examples,coverage,fuzzing")
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]


def test_an_answer_that_is_not_as_documented_is_found(
    client: FlaskClient, url: str, key: str
) -> None:
    client.application.view_functions["dead.index"] = lambda: jsonify({"object": "list"})

    run = fuzz(url, key, "--include-path", "/v1/dead", "--include-method", "GET")

    assert run.returncode == 1
    assert "'data'" in run.stdout or '"data"' in run.stdout, run.stdout[-4000:]
