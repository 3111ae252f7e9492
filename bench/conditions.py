"""What a result depends on, to be read beside it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headrace.core.connection import Client
from headrace.core.cores import available_cores

CPU_FACTS = Path("/proc/cpuinfo")


def conditions(redis: Client) -> dict[str, Any]:
    """Machine, versions, and how busy the machine is before the first run."""
    server = redis.info("server")
    is_valkey = "valkey_version" in server
    return {
        "cpu": f"{available_cores()} x {cpu_name()}",
        "load_before": round(os.getloadavg()[0], 2),
        "server": f"Valkey {server['valkey_version']}"
        if is_valkey
        else f"Redis {server['redis_version']}",
        "appendfsync": redis.config_get("appendfsync")["appendfsync"],
        "aof_rewrites": "between runs",
        "python": platform.python_version(),
        **{package: version(package) for package in ("rq", "redis", "hiredis")},
    }


def cpu_name() -> str:
    if CPU_FACTS.exists():
        for line in CPU_FACTS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
