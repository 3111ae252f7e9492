"""Alertmanager takes the configuration, and sends alerts where they belong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.monitoring.rules import alerts

CONFIG = str(Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml")


def test_alertmanager_takes_the_configuration() -> None:
    subprocess.run(["amtool", "check-config", CONFIG], check=True)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_goes_to_the_receiver_of_its_severity(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    receiver = "watchdog" if severity == "none" else severity
    labels = [f"alertname={name}", f"severity={severity}"]
    command = ["amtool", "config", "routes", "test", f"--config.file={CONFIG}"]
    subprocess.run([*command, f"--verify.receivers={receiver}", *labels], check=True)
