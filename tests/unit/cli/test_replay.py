"""`headrace scaler replay`, of a log on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.core.connection import Client
from headrace.core.errors import InvalidRequest
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.fakes import make_request

STEPS = {"n": 30, "r": 60, "p": 0, "s": 3_000_000, "rr": 150, "rp": 0, "pp": 0}
STEPS |= {"rs": 6_000_000, "ps": 0}


@pytest.fixture
def bench(redis: Client, settings: Settings) -> Bench:
    bench = Bench(redis, settings)
    bench.counters.add("worker-1", {f"steps:{name}": value for name, value in STEPS.items()})
    return bench


def replay(redis_url: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["scaler", "replay", *arguments], env={"REDIS_URL": redis_url})


def serve(bench: Bench) -> None:
    bench.submit(make_request("job-1"))
    while not bench.state("job-1").is_terminal:
        bench.turn(1)


def test_what_happened_stands_beside_every_policy(bench: Bench, redis_url: str) -> None:
    serve(bench)
    shown = replay(redis_url)
    assert shown.exit_code == 0, shown.output
    for name in ("what happened", "backlog-slo", "queue-depth", "latency"):
        assert any(line.startswith(name) for line in shown.stdout.splitlines())
    assert "1 requests" in shown.stdout


def test_the_figures_are_json_where_they_are_asked_for(bench: Bench, redis_url: str) -> None:
    serve(bench)
    found = json.loads(replay(redis_url, "--policy", "latency", "--json").stdout)
    happened, latency = found["rows"]
    assert (happened["row"], latency["row"]) == ("what happened", "latency")
    assert happened["worker_s"] is None  # no scaler ever said how many
    assert latency["worker_s"] >= 0 and latency["attainment"] == 1.0


def test_a_log_without_a_job_is_said(bench: Bench, redis_url: str) -> None:
    assert isinstance(replay(redis_url).exception, InvalidRequest)


def test_a_file_that_is_no_report_is_named(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    error = replay(redis_url, str(tmp_path / "other.json")).exception
    assert isinstance(error, InvalidRequest) and "other.json" in str(error)


@pytest.mark.parametrize(
    "arguments",
    [("--speed", "0"), ("--policy", "best"), ("--since", "soon"), ("x", "--since", "1h")],
)
def test_options_that_cannot_be_are_refused(redis_url: str, arguments: tuple[str, ...]) -> None:
    result = replay(redis_url, *arguments)
    assert result.exit_code == 2 or isinstance(result.exception, InvalidRequest)
