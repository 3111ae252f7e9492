"""What a result depends on, to be read beside it."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

from bench.machine_conditions import commit
from headrace.core.connection import Client
from headrace.core.machine import machine


def conditions(redis: Client) -> dict[str, Any]:
    """Commit, machine, versions, and how busy the machine is before the first run."""
    server = redis.info("server")
    is_valkey = "valkey_version" in server
    return {
        "commit": commit(),
        "cpu": machine()["cpu"],
        "load_before": round(os.getloadavg()[0], 2),
        "server": f"Valkey {server['valkey_version']}"
        if is_valkey
        else f"Redis {server['redis_version']}",
        "appendfsync": redis.config_get("appendfsync")["appendfsync"],
        "aof_rewrites": "between runs",
        "python": machine()["python"],
        **{package: version(package) for package in ("rq", "redis", "hiredis")},
    }
