"""Every benchmark runs: once, tiny, and never over the results that are kept."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Kind

from batcher.model_store import prepare_model
from bench.api_process import ApiProcess
from bench.environments import Environments
from bench.fidelity import FORMS, OURS
from bench.fidelity_table import markdown
from bench.report import RESULTS
from headrace.core.settings import Settings
from tests.tiny_models import make_tiny_llama_gguf

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
DOCS = ROOT / "docs" / "benchmarks.md"

RUNS: Mapping[str, str] = {
    "api": "--pairs 1 --seconds 0.5 --eta-s 4 --warm-up-s 4 --waiting 20 --requests 3",
    "autoscale": "--seeds 1 --policies ours --loads constant --processes 1 --no-plot",
    "backlog": "--lengths 200 400 --repeats 2 --claims 2 --samples 2",
    "capacity": "--engine simulated --duration 2 --warmup 0.5 --precision 0.5 --tries 1",
    "compare": "--pairs 1 --seconds 2",
    "fairness": "--pairs 1 --flood 20 --waiting 400 --claims 3",
    "host_time": "--rows 2 --steps 3 --lengths 10 --vocabularies 512",
    "metrics": "--pairs 1 --requests 20",
    "overhead": "--jobs 3 --idle-s 0.5",
    "queue": "--rounds 1 --run-s 0.05 --counted-jobs 64 --submit-jobs 20",
    "service": "--engines simulated --users 1,3 --pairs 2 --seconds 1 --warm-up-s 0.5",
    "service --peers": "--engines simulated --users 2 --pairs 1 --seconds 1 --warm-up-s 0.5",
    "sharing": "--engines simulated --pairs 1",
    "smoke": "--pairs 1 --max-tokens 2",
    "stream_cost": "--streams 2 --tokens 5",
    "throughput": "--engine simulated --pairs 1 --requests 4 --concurrency 2",
    "tracing": "--pairs 1 --requests 20",
}
"""The options of those that write a report and run on the simulated engine, or on none."""

WITH_MODELS = {
    *("api", "backlog", "capacity", "compare", "metrics", "overhead", "service", "service --peers"),
    *("sharing", "smoke", "throughput", "tracing"),
}
"""Those that take a folder of prepared models."""

ON_A_TINY_MODEL: Mapping[str, str] = {
    "engine": "--quick --pairs 1 --rounds 1 --only openvino torch --no-plot",
    "export": "--quick --pairs 1",
    "fidelity": "--quick --pairs 1",
    "int8": "--quick --pairs 1 --rows 1,3",
    "soak": "--minutes 0.1 --slots 4 --context-tokens 256",
}
"""Our own engines alone: those of others need environments of their own."""

TABLES = ("engine_tables", "fidelity_table", "service_tables")
PLOTS: Mapping[str, str] = {"engine_plot": "engine.json", "autoscale.plot": "autoscale.json"}
"""Scripts by the result that they draw, for an environment that has matplotlib."""

CLIENTS = {"hammer", "stream_readers"}
"""Programs that benchmarks start as clients of a server."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with the card of SmolLM2, which is all that the simulated engine needs."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("models"), engine="simulated")
    prepare_model(settings, print)
    return settings.models_dir


@pytest.fixture(autouse=True)
def _results_stay_as_they_are() -> Iterator[None]:
    before = _contents(RESULTS)
    yield
    assert _contents(RESULTS) == before


def test_every_program_of_the_benchmarks_has_a_run_here() -> None:
    runs = {name.partition(" ")[0] for name in (*RUNS, *ON_A_TINY_MODEL)}
    assert programs() <= runs | {*TABLES, *PLOTS} | CLIENTS


@pytest.mark.parametrize("name", RUNS)
def test_a_benchmark_runs_to_its_end(name: str, models: Path, tmp_path: Path) -> None:
    options = shlex.split(RUNS[name])
    options += ["--models", str(models)] if name in WITH_MODELS else []
    report = run(name, options, tmp_path, HEADRACE_ENGINE="simulated")

    assert report
    CHECKS.get(name, bool)(report)


@pytest.mark.parametrize("name", ON_A_TINY_MODEL)
def test_a_benchmark_of_engines_runs_on_a_tiny_model(name: str, tmp_path: Path) -> None:
    file = make_tiny_llama_gguf(tmp_path / "gguf", kind=Kind.Q4_1)
    options = shlex.split(ON_A_TINY_MODEL[name])
    report = run(name, options, tmp_path, HEADRACE_MODEL=str(file), HEADRACE_MAX_SLOTS="4")

    CHECKS.get(name, bool)(report)


def check_engines(report: Mapping[str, Any]) -> None:
    assert {"openvino", "torch"} == report["tokens_per_s"]["equal"].keys()
    assert all(rates["32"] > 0 for rates in report["tokens_per_s"]["equal"].values())


def check_fidelity(report: Mapping[str, Any]) -> None:
    assert report["engines"].keys() == {*OURS, *FORMS}
    assert report["engines"]["openvino_float32"]["kl"] <= 0.001
    assert all(engine["tokens_per_s_32"] > 0 for engine in report["engines"].values())
    assert "the default" in markdown(report)


def check_export(report: Mapping[str, Any]) -> None:
    assert {model["engine"] for model in report["models"].values()} == {"openvino"}
    assert report["folder_over_gguf"]["32"] > 0


def check_service(report: Mapping[str, Any]) -> None:
    engine = report["engines"]["simulated"]
    assert len(engine["runs_tokens_per_s"]["3"]) == 2
    assert engine["cpu_ms_per_token"].keys() >= {"api", "redis", "worker", "load generator"}
    assert "other" not in engine["cpu_ms_per_token"]
    assert 0 < engine["ratio_3"] < 1.5
    assert "--engines simulated" in report["command"]


def check_peers(report: Mapping[str, Any]) -> None:
    assert report["engines"]["simulated"]["tokens_per_s"]["2"] > 0


CHECKS = {
    "engine": check_engines,
    "export": check_export,
    "fidelity": check_fidelity,
    "service": check_service,
    "service --peers": check_peers,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_written_into_the_document(name: str, tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(DOCS.read_text())
    start(name, ["--docs", str(document)])

    assert document.read_text() == DOCS.read_text()


@pytest.fixture(scope="module")
def plotting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has matplotlib, made as the benchmarks make it."""
    return Environments(tmp_path_factory.mktemp("environments"), print).python("plot")


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_drawn(name: str, plotting: Path, tmp_path: Path) -> None:
    file = tmp_path / "plot.png"
    start(name, [str(file)], (RESULTS / PLOTS[name]).read_bytes(), plotting)

    assert file.stat().st_size > 0


def test_the_hammer_counts_the_answers_of_a_server() -> None:
    with ApiProcess("bench.bare_app:create_app()") as bare:
        options = [f"{bare.url}/v1/jobs", "--connections", "2", "--seconds", "0.2"]
        report = json.loads(start("hammer", options, b'{"prompt": "One, two, three"}'))

    assert report["per_s"] > 0
    assert report["not_good"] == 0


def run(name: str, options: list[str], folder: Path, **variables: str) -> Any:
    """The report that a benchmark writes."""
    file = folder / "report.json"
    start(name, [*options, "--json", str(file)], **variables)
    return json.loads(file.read_text())


def start(
    name: str,
    options: list[str],
    given: bytes = b"",
    python: Path = Path(sys.executable),
    **variables: str,
) -> bytes:
    """Output of a program of the benchmarks, which has to end well."""
    command = [str(python), "-m", *shlex.split(f"bench.{name}"), *options]
    environment = os.environ | variables
    done = subprocess.run(command, cwd=ROOT, env=environment, input=given, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout


def programs() -> set[str]:
    """Modules with a `main`, without the name of their package; a package by its own."""
    files = [file for file in BENCH.rglob("*.py") if "\ndef main(" in file.read_text()]
    names = [".".join(file.relative_to(BENCH).with_suffix("").parts) for file in files]
    return {name.removesuffix(".__main__") for name in names}


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}
