"""Rules, dashboards and routes speak of what there is; tests/monitoring runs them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from api.http_metrics import PrometheusMetrics
from headrace.core.connection import Client
from headrace.core.readings.fleet import Fleet
from headrace.core.settings import Settings
from headrace.monitor.alerts import SILENCED, SUMMARIES
from headrace.monitor.exporter import FleetCollector
from headrace.monitor.own_metrics import MonitorCollector
from headrace.monitor.sight import Sight

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").iterdir())
METRIC = re.compile(r"\bheadrace[_:][\w:]+")
ENDINGS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}

OF_PROMETHEUS_ALONE = {
    "HeadraceDeadLetters": "ticket",
    "HeadraceScalerUnknown": "ticket",
    "HeadraceMonitorDown": "page",
    "HeadraceWatchdog": "none",
}


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("rules/alerts.yml")}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    return list(json.loads(dashboard.read_text())["panels"])


def expressions() -> Iterator[str]:
    for file in ("rules/alerts.yml", "rules/recording.yml", "rules-demo/recording.yml"):
        yield from (rule["expr"] for rule in rules(file))
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            yield from (target["expr"] for target in panel["targets"])


@pytest.fixture
def scraped(redis: Client, settings: Settings) -> set[str]:
    """The names of all that Prometheus can scrape."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(Fleet(redis, settings)))
    registry.register(MonitorCollector(Sight(0.0, {}), settings))
    texts = [generate_latest(registry), PrometheusMetrics().exposition("")[0]]
    found = {
        name + ending
        for text in texts
        for name, kind in re.findall(r"^# TYPE (\S+) (\w+)", text.decode(), re.M)
        for ending in ENDINGS[kind]
    }
    return found


def test_every_metric_in_a_rule_or_a_panel_exists(scraped: set[str]) -> None:
    recorded = {rule["record"] for rule in rules("rules/recording.yml")}
    named = {name for text in expressions() for name in METRIC.findall(text)}
    assert named - recorded <= scraped
    # And what is recorded is used.
    assert recorded <= named


def test_every_metric_of_the_monitor_stands_in_a_rule_or_a_panel(scraped: set[str]) -> None:
    named = {name for text in expressions() for name in METRIC.findall(text)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in named}
    exported = {re.sub("_(bucket|sum|count)$", "", name) for name in scraped}
    exported -= {name for name in exported if name.startswith("gen_ai_")}  # second names of ours
    assert {name for name in exported if not name.endswith("_created")} <= families


def test_the_demo_records_the_same_by_other_windows() -> None:
    windows = re.compile(r"\[\w+\]|offset \w+|>= \d+$", re.M)
    kept = [
        [
            (rule["record"], rule.get("labels"), windows.sub("", rule["expr"]))
            for rule in rules(file)
        ]
        for file in ("rules/recording.yml", "rules-demo/recording.yml")
    ]
    assert kept[0] == kept[1]


def test_prometheus_raises_what_the_monitor_raises_and_more() -> None:
    severities = {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}
    of_the_monitor = {name: severity for name, (severity, _text) in SUMMARIES.items()}
    assert severities == of_the_monitor | OF_PROMETHEUS_ALONE
    for name, (_severity, summary) in SUMMARIES.items():
        assert ALERTS[name]["annotations"]["summary"].lower() == summary.lower()
    for name, rule in ALERTS.items():
        assert rule["labels"]["source"] == "prometheus"
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"


def test_the_operations_guide_has_a_section_for_each_alert() -> None:
    guide = (DEPLOY.parent / "docs" / "operations.md").read_text()
    sections = re.findall(r"^### (Headrace\w+)\n\n(.+?)(?=^##)", guide, re.M | re.S)
    assert sorted(name for name, _text in sections) == sorted(ALERTS)
    for name, text in sections:
        assert re.search(r"^- Look\b", text, re.M), name
        assert re.search(r"^- Do: ", text, re.M), name
        severity = ALERTS[name]["labels"]["severity"]
        assert text.startswith({"none": "No trouble"}.get(severity, f"{severity.title()}. ")), name


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-demo.yml"])
def test_prometheus_scrapes_api_and_monitor(name: str) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
    jobs = [job["job_name"] for job in config["scrape_configs"]]
    assert jobs == ["headrace-monitor", "headrace-api"]


def test_the_addresses_here_and_in_containers_are_of_the_same_services() -> None:
    folder = DEPLOY / "prometheus"
    here = sorted(path.name for path in (folder / "targets").iterdir())
    assert here == sorted(path.name for path in (folder / "targets-compose").iterdir())
    for name in here:
        ((place,), (there,)) = (
            yaml.safe_load((folder / each / name).read_text())[0]["targets"]
            for each in ("targets", "targets-compose")
        )
        assert place.split(":")[1] == there.split(":")[1]
        assert there.split(":")[0] == Path(name).stem


def test_alerts_silence_what_follows_from_them() -> None:
    config = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    silences = {}
    for rule in config["inhibit_rules"]:
        (source,), (target,) = rule["source_matchers"], rule["target_matchers"]
        pattern = re.compile(re.split(r" =~? ", target)[1])
        silences[source.split(" = ")[1]] = {name for name in ALERTS if pattern.fullmatch(name)}
    assert silences == SILENCED


def test_what_follows_from_an_alert_is_evaluated_after_it() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules" / "alerts.yml").read_text())["groups"]
    (order,) = (
        [rule["alert"] for rule in group["rules"]]
        for group in groups
        if group["name"] == "headrace"
    )
    for cause, effects in SILENCED.items():
        assert all(order.index(cause) < order.index(effect) for effect in effects)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows(dashboard: Path) -> None:
    board = json.loads(dashboard.read_text())
    (source,) = yaml.safe_load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]
    assert board["uid"] == f"headrace-{dashboard.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == source["uid"]
            assert target["legendFormat"]


def test_there_are_four_dashboards() -> None:
    assert [path.stem for path in DASHBOARDS] == ["pipeline", "reliability", "scaler", "slo"]
