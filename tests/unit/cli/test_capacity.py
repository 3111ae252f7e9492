"""`headrace capacity`, on a server that is none of ours and on one that is a simulation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from headrace.cli import capacity_run
from headrace.cli.main import cli
from headrace.loadtest.loads import Load
from scaler.start_values import read_start_values
from tests.openai_server import OpenAiServer
from tests.unit.planning.services import SLOTS, SimulatedDeployment

FLEET: dict[str, Any] = {
    "workers": [{"activity": "ready", "slots": SLOTS}],
    "starting": 0,
    "cold_starts_s": [3.0, 4.0, 5.0],
}


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    with OpenAiServer(service_s=0.005) as server:
        yield server


@pytest.fixture
def simulated(server: OpenAiServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A deployment at a URL whose loads take no time."""
    deployment = SimulatedDeployment()

    async def measure(bench: Any, loads: Sequence[Load], seconds: float) -> Any:
        results = await deployment.measure(loads, seconds)
        for result in results:
            bench._progress.finished(result)
        return results

    get = capacity_run.Target.get

    async def answer(target: Any, path: str) -> Any:
        return FLEET if path == capacity_run.PATH else await get(target, path)

    monkeypatch.setattr(capacity_run.Target, "get", answer)
    monkeypatch.setattr(capacity_run.Bench, "measure", measure)
    return server.url


def capacity(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["capacity", *arguments])


def test_it_shows_the_rate_the_model_and_the_workers(simulated: str) -> None:
    shown = capacity("--url", simulated, "--rates", "10,200")
    assert shown.exit_code == 0, shown.output
    for text in ("1 workers of 32 slots bear", "A step takes 10.00 ms", "had not seen", "Workers"):
        assert text in shown.stdout


def test_report_and_start_values_are_written(simulated: str, tmp_path: Path) -> None:
    out, start = tmp_path / "out.json", tmp_path / "start.json"
    shown = capacity("--url", simulated, "--json", str(out), "--start-values", str(start))
    assert shown.exit_code == 0, shown.output
    found = json.loads(out.read_text())
    assert [level["predicted_p95_s"] > 0 for level in found["predictions"]] == [True] * 3
    assert len(found["rows"]) == 5
    assert read_start_values(start).cold_start_s == 4.0


def test_what_was_measured_outlives_a_failure_at_the_end(
    simulated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity_run, "report", lambda *_: 1 / 0)
    out = tmp_path / "out.json"
    shown = capacity("--url", simulated, "--json", str(out))

    assert isinstance(shown.exception, ZeroDivisionError)
    kept = tmp_path / "out.json.measured.jsonl"
    assert f"what was measured is in {kept}" in shown.stderr
    levels = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(levels) > 10
    assert all(level["output_tokens_per_s"] > 0 for level in levels)


def test_nothing_else_is_left_once_the_report_is_written(simulated: str, tmp_path: Path) -> None:
    assert capacity("--url", simulated, "--json", str(tmp_path / "out.json")).exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_a_deployment_that_is_too_slow_to_be_measured_is_status_1(
    simulated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedDeployment, "_measure", _always_late)
    result = capacity("--url", simulated)
    assert result.exit_code == 1
    assert "no answer ended within level 16: give a longer --duration" in result.stderr


def test_a_server_without_a_fleet_is_status_3(server: OpenAiServer) -> None:
    result = capacity("--url", server.url)
    assert result.exit_code == 3
    assert "whose fleet may be seen" in result.stderr


def test_no_server_at_all_is_status_3() -> None:
    result = capacity("--url", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "no API answers" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--held-out", "0.5,2"), "--held-out"),
        (("--rates", "many"), "--rates"),
        (("--url", "127.0.0.1:8000"), "--url"),
        (("--json", "/no/such/folder/out.json"), "no file can be written there"),
        (("--slo-latency-s", "-1"), "HEADRACE_SLO_LATENCY_S"),
    ],
)
def test_what_cannot_be_run_is_status_2_and_names_the_option(
    arguments: tuple[str, ...], says: str, server: OpenAiServer
) -> None:
    result = capacity("--url", server.url, *arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert server.bodies == []


def _always_late(deployment: SimulatedDeployment, load: Load, seconds: float) -> Any:
    deployment.slowness = 40.0
    return _measure(deployment, load, seconds)


_measure = SimulatedDeployment._measure
