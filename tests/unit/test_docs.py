"""The documentation says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from api.http_metrics import PrometheusMetrics
from bench import fidelity_table, service_tables
from bench.engine_tables import insert, markdown
from headrace.cli.setting_text import default_text, describe
from headrace.core.connection import Client
from headrace.core.readings.fleet import Fleet
from headrace.core.settings import Settings, variable
from headrace.monitor.exporter import FleetCollector
from headrace.monitor.own_metrics import MonitorCollector
from headrace.monitor.sight import Sight

ROOT = Path(__file__).parents[2]


def _example_lines() -> list[str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return [line for line in lines if line.startswith("#") and not line.startswith(("# ", "##"))]


def test_the_example_environment_holds_every_setting_with_its_default_and_nothing_else() -> None:
    assert _example_lines() == [
        f"#{variable(field)}={default_text(field)}" for field in Settings.model_fields
    ]


def test_the_example_environment_sets_nothing_by_itself() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert all(not line or line.startswith("#") for line in lines)


def test_the_example_environment_describes_every_setting() -> None:
    text = " ".join(
        line.removeprefix("# ") for line in (ROOT / ".env.example").read_text().splitlines()
    )
    for field in Settings.model_fields:
        assert describe(field) in text, field


def test_the_operations_guide_lists_every_metric(redis: Client, settings: Settings) -> None:
    registry = CollectorRegistry()
    registry.register(FleetCollector(Fleet(redis, settings)))
    registry.register(MonitorCollector(Sight(0.0, {}), settings))
    texts = [generate_latest(registry), PrometheusMetrics().exposition("")[0]]
    exported = {
        name for text in texts for name in re.findall(r"^# TYPE (\S+) ", text.decode(), re.M)
    }
    exported -= {name for name in exported if name.endswith("_created")}

    guide = (ROOT / "docs" / "operations.md").read_text()
    assert exported == set(re.findall(r"`((?:headrace|gen_ai_server)_\w+)`", guide))


def test_each_result_that_the_readme_shows_names_the_commit_that_was_measured() -> None:
    paragraphs = (ROOT / "README.md").read_text().split("\n\n")
    shown = [each for each in paragraphs if re.search(r"\]\(bench/results/\w+\.json\)", each)]
    assert [each for each in shown if not re.search(r"commit [0-9a-f]{7}", each)] == []


def test_the_readme_has_the_figures_that_make_chaos_measured() -> None:
    readme = (ROOT / "README.md").read_text()
    report = json.loads((ROOT / "bench" / "results" / "chaos.json").read_text())
    columns = ("seeds", "jobs", "lost", "duplicated", "contradicted", "redelivered")
    for fault in report["faults"]:
        cells = [f"{fault['fault']} {fault['name']}", *(str(fault[name]) for name in columns)]
        assert f"| {' | '.join(cells)} |" in readme


def test_the_benchmarks_page_has_the_tables_that_make_bench_engine_measured() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    report = json.loads((ROOT / "bench" / "results" / "engine.json").read_text())
    assert insert(page, markdown(report)) == page, "python -m bench.engine_tables"


def test_the_benchmarks_page_has_the_table_that_make_bench_fidelity_measured() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    report = json.loads((ROOT / "bench" / "results" / "fidelity.json").read_text())
    table = fidelity_table.markdown(report)
    found = insert(page, table, fidelity_table.BEGIN, fidelity_table.END)
    assert found == page, "python -m bench.fidelity_table"


def test_the_benchmarks_page_has_the_tables_that_make_bench_service_measured() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    found = service_tables.filled(page, ROOT / "bench" / "results")
    assert found == page, "python -m bench.service_tables"


def test_the_readme_has_the_figures_that_make_bench_api_measured() -> None:
    readme = (ROOT / "README.md").read_text()
    report = json.loads((ROOT / "bench" / "results" / "api.json").read_text())
    figures = (
        str(report["ratio_submit_vs_bare"]),
        f"{report['eta_backlog']['median_error']:.1%}".replace("%", " %"),
        f"{report['eta_arrivals']['median_error']:.1%}".replace("%", " %"),
        f"{report['rss_mb_waiting']:.0f} MB",
        f"{report['finish_to_last_byte_ms']['p50']} ms",
    )
    for figure in figures:
        assert f"| {figure} |" in readme, figure
