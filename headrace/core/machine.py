"""The machine that something ran on, to be read beside what was measured there."""

from __future__ import annotations

import platform
from pathlib import Path

from headrace.core.cores import available_cores

CPU_FACTS = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    return {
        "cpu": f"{available_cores()} x {cpu_name()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    if CPU_FACTS.exists():
        for line in CPU_FACTS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
