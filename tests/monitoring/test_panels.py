"""Every panel's query, asked of a Prometheus that has scraped a deployment at work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import Deployment
from tests.monitoring.watchers import DEPLOY, Watchers, watchers
from tests.scaled_deployment import BOUNDS, ScaledDeployment, scaled_deployment
from tests.waiting import eventually

DASHBOARDS = DEPLOY / "grafana" / "dashboards"
QUERIES = sorted(
    {
        target["expr"].replace("$__rate_interval", "20s")
        for path in DASHBOARDS.iterdir()
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    }
)
NOTHING_YET = {
    # A day has to pass, or on short windows half a minute and then five.
    "headrace:canary_ttft_seconds:usual",
}


@pytest.fixture(scope="module")
def working(
    tmp_path_factory: pytest.TempPathFactory, smollm2_models: Path
) -> Iterator[ScaledDeployment]:
    """A deployment that has answered jobs and refused requests."""
    folder = tmp_path_factory.mktemp("up")
    with scaled_deployment(folder, smollm2_models, HEADRACE_CANARY_S="1", **BOUNDS) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def watching(
    working: ScaledDeployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watchers]:
    folder = tmp_path_factory.mktemp("watchers")
    monitor_url = f"http://127.0.0.1:{working.metrics_port}"
    with watchers(folder, working.url, monitor_url) as found:
        work(working)  # a first time, so that the second is an increase
        eventually(lambda: found.query("headrace_slo_total > 0"))
        work(working)
        eventually(lambda: found.query("increase(headrace_slo_total[20s]) > 0"), 20)
        yield found


def work(deployment: Deployment) -> None:
    job_ids = [deployment.submit(f"Say {number}.", max_tokens=4) for number in range(8)]
    for job_id in job_ids:
        deployment.job(job_id, wait_s=30)
    assert deployment.client.post("/v1/jobs", json={"prompt": 7}).status_code == 400


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_asks_what_prometheus_can_answer(watching: Watchers, query: str) -> None:
    if query in NOTHING_YET:
        watching.query(query)
    else:
        eventually(lambda: watching.query(query), 20)
