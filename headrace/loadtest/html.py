"""The report of a test as one page that needs nothing beside it, neither file nor network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from headrace.loadtest.conditions import conditions, slo
from headrace.loadtest.load_test import LoadTest
from headrace.loadtest.plots import plots
from headrace.loadtest.quantiles import LEAST_FOR_P99
from headrace.loadtest.remarks import remarks
from headrace.loadtest.report import report
from headrace.loadtest.sheet import BY_SERVER, INVALID, UNSUPPORTED
from headrace.loadtest.sheets import level_name, sheets
from headrace.loadtest.slo import Slo
from headrace.loadtest.table import MEANING

Level = Mapping[str, Any]


def write_html(test: LoadTest, path: Path) -> None:
    path.write_text(page(report(test)), encoding="utf-8")


def page(report: Mapping[str, Any]) -> str:
    levels = report["levels"]
    drawn = plots(report)
    template = _environment().get_template("report.html")
    return template.render(
        report=report,
        date=datetime.fromisoformat(report["started_at"]).strftime("%Y-%m-%d %H:%M %Z"),
        invalid=[level_name(level).rstrip(INVALID) for level in levels if not level["valid"]],
        conditions=conditions(report),
        level_means=MEANING[levels[0]["kind"]] if levels else "",
        rows=[_row(level) for level in levels],
        sheets=list(sheets(levels, report["repeats"])),
        remarks=remarks(levels),
        legend=_legend(report),
        plots=drawn,
        figures={plot.name: plot.figure.to_plotly_json() for plot in drawn},
        plotly_js=get_plotlyjs(),
    )


def _environment() -> Environment:
    loader = PackageLoader("headrace.loadtest", "page")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def _row(level: Level) -> Mapping[str, Any]:
    e2e, ttft = level["e2e_s"], level["ttft_s"]
    return {
        "level": level_name(level),
        "is_valid": level["valid"],
        "cells": [
            f"{level['requests']:,}",
            f"{level['errors']['total']:,}",
            f"{level['throughput_per_s']:.2f}",
            f"{level['output_tokens_per_s']:.1f}",
            _percentile(e2e, "p50") + _interval(e2e),
            _percentile(e2e, "p95"),
            _percentile(e2e, "p99"),
            _percentile(ttft, "p50"),
            _percentile(ttft, "p95"),
            f"{level['goodput'][Slo.name]['share']:.1%}",
        ],
    }


def _percentile(spread: Mapping[str, Any] | None, name: str) -> str:
    if spread is None:
        return "-"
    found = spread[name]
    seen = BY_SERVER if spread["source"] == "server" else ""
    return f"{seen}{found['value']:.3f}{'' if found['supported'] else UNSUPPORTED}"


def _interval(spread: Mapping[str, Any] | None) -> str:
    return f" [{spread['p50']['low']:.3f} {spread['p50']['high']:.3f}]" if spread else ""


def _legend(report: Mapping[str, Any]) -> Sequence[str]:
    """What the table's marks mean."""
    spreads = [level[name] for level in report["levels"] for name in ("e2e_s", "ttft_s")]
    known = [spread for spread in spreads if spread]
    lines = [f"Good: {slo(report)}.", "[..] is a 95 % interval; latencies in s."]
    if any(not spread["p99"]["supported"] for spread in known):
        lines.append(f"{UNSUPPORTED} fewer than {LEAST_FOR_P99} answers: supports no claim.")
    if any(spread["source"] == "server" for spread in known):
        lines.append(f"{BY_SERVER} as the server says.")
    return lines
