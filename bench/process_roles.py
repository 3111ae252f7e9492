"""Roles of the processes of a deployment, and the CPU time of each role."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import psutil

SUPERVISOR, WORKER, ENGINE, OTHER = "supervisor", "worker", "engine", "other"
"""The supervisor starts the others; whatever a worker starts runs its engine."""

WORDS: Mapping[str, str] = {
    "worker": WORKER,
    "gunicorn": "api",
    "headrace.monitor": "monitor",
    "scaler": "scaler",
}
"""Roles by a word of the command line: the modules that the supervisor starts."""

SERVERS = ("valkey-server", "redis-server")


def cpu_by_role(supervisor: int) -> dict[str, float]:
    """CPU seconds, user and system, of the live processes under this process id."""
    found: defaultdict[str, float] = defaultdict(float)
    root = psutil.Process(supervisor)
    found[SUPERVISOR] += process_cpu_s(root)
    for child in root.children():
        role = role_of(child.name(), child.cmdline())
        found[role] += process_cpu_s(child)
        for below in child.children(recursive=True):
            found[ENGINE if role == WORKER else role] += process_cpu_s(below)
    return dict(found)


def role_of(name: str, command: Sequence[str]) -> str:
    """The role of a child of the supervisor; a server of Redis rewrites its command line."""
    if name in SERVERS:
        return "redis"
    return next((WORDS[word] for word in command if word in WORDS), OTHER)


def process_cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
