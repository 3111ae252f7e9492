"""The processes of a deployment have roles, by which their CPU time is told apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.process_roles import SERVERS, cpu_by_role, role_of
from headrace.cli.deployment import RUN_MONITOR, RUN_SCALER, RUN_WORKER, SERVE_API
from headrace.cli.embedded_redis import prepare_embedded_redis
from tests.waiting import eventually

CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
SPIN = "sum(range(10**7)); input()"
"""Ends with the test, whose standard input it has."""


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (SERVE_API, "api"),
        ((*RUN_WORKER, "worker-1-abc"), "worker"),
        (RUN_MONITOR, "monitor"),
        (RUN_SCALER, "scaler"),
        ((sys.executable, "-m", "something.new"), "other"),
    ],
)
def test_what_the_supervisor_starts_has_a_role(command: Sequence[str], role: str) -> None:
    assert role_of("python", command) == role


def test_the_embedded_server_is_known_by_its_name(tmp_path: Path) -> None:
    assert prepare_embedded_redis(tmp_path).binary.path.name in SERVERS
    assert role_of(SERVERS[0], ["valkey-server unixsocket"]) == "redis"


def test_what_a_worker_starts_is_its_engine() -> None:
    command = [sys.executable, "-c", CHILD, CHILD, SPIN, "worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as supervisor:
        eventually(lambda: cpu_by_role(supervisor.pid).get("engine", 0.0) > 0)
        roles = cpu_by_role(supervisor.pid).keys()

    assert roles == {"supervisor", "worker", "engine"}
