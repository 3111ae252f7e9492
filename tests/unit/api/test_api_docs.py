"""docs/api.md has an example for every route, and all of them run."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from tests.bench import Bench
from tests.fakes import make_request
from tests.unit.core.jobs.steps import bury

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
EXAMPLES = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADINGS = re.compile(r"^### `(.*)`$", re.MULTILINE)
PARAMETER = re.compile(r"<.*?>")
NOT_OURS = ("static", "rq_dashboard", "docs")


@pytest.fixture
def url(client: FlaskClient, bench: Bench) -> Iterator[str]:
    """Of the app behind a server, with a dead letter and a worker."""
    bury(bench.queue, make_request("dead-1"))
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with bench.serving():
        yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_route_has_its_heading(client: FlaskClient) -> None:
    rules = [
        rule
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] not in NOT_OURS
    ]
    routes = {
        f"{method} {PARAMETER.sub('{}', rule.rule)}"
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {re.sub(r"{.*?}", "{}", heading) for heading in HEADINGS.findall(TEXT)} == routes


def test_every_heading_has_an_example() -> None:
    sections = re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]
    assert [section for section in sections if not EXAMPLES.search(section)] == []


def test_the_examples_run_from_top_to_bottom(url: str) -> None:
    script = "\n".join(["set -euo pipefail", *EXAMPLES.findall(TEXT)])
    run = subprocess.run(
        ["bash", "-xc", script],
        env={**os.environ, "HEADRACE": url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr[-2000:] + run.stdout[-2000:]
