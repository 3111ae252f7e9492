"""What a result without a queue depends on, to be read beside it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headrace.core.cpu_features import cpu_features
from headrace.core.machine import machine

ROOT = Path(__file__).parents[1]


def machine_conditions(*packages: str) -> dict[str, Any]:
    """Commit, day, processor with its features, and the versions of `packages`."""
    return {
        "commit": commit(),
        "date": f"{date.today()}",
        "cpu": machine()["cpu"],
        "features": cpu_features(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def commit() -> str | None:
    """Of the code that was measured; None where this is no clone."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
