"""Rules as `promtool` evaluates them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.monitoring.series import Fleet

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
ALERTS = PROMETHEUS / "rules" / "alerts.yml"
FIRING = 'count by (alertname) (ALERTS{alertstate="firing",alertname!="HeadraceWatchdog"})'


def alerts() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def require_firing(
    folder: Path, fleet: Fleet, *moments: tuple[float, Sequence[str]], rules: str = "rules"
) -> None:
    """At each of the moments, in minutes, these alerts fire, and no other but the watchdog."""
    expected = [
        {
            "expr": FIRING,
            "eval_time": f"{round(minute * 60)}s",
            "exp_samples": [
                {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
            ],
        }
        for minute, names in moments
    ]
    test = {
        "rule_files": [str(PROMETHEUS / rules / "recording.yml"), str(ALERTS)],
        "evaluation_interval": f"{fleet.step_s}s",
        "tests": [
            {
                "interval": f"{fleet.step_s}s",
                "input_series": fleet.as_input(),
                "promql_expr_test": expected,
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test))
    run = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
