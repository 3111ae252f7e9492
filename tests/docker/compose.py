"""One deployment in containers, as `docker compose` runs it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import httpx

from tests.deployment import free_port
from tests.jobs_client import JobsClient
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
COMMAND = shlex.split(os.environ.get("COMPOSE", "docker compose"))
SERVICES = ("redis", "api", "worker", "monitor")
START_S = 300.0


class Compose(JobsClient):
    """A project of its own, on a port of its own, with settings of its own."""

    def __init__(self, **settings: str) -> None:
        self._project = f"headrace-test-{secrets.token_hex(3)}"
        port, monitor_port = str(free_port()), str(free_port())
        ports = {"HEADRACE_PORT": port, "HEADRACE_MONITOR_PORT": monitor_port}
        self._environment = os.environ | ports | settings
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{monitor_port}/metrics"
        self.client = httpx.Client(base_url=self.url, timeout=120)

    def run(self, *arguments: str) -> str:
        """`docker compose ARGUMENTS`; returns what it printed, fails the test if it failed."""
        # Not the developer's .env: one that sets nothing.
        options = ["--project-name", self._project, "--env-file", ".env.example"]
        return _output([*COMMAND, *options, *arguments], self._environment)

    def build(self) -> None:
        extra = shlex.split(os.environ.get("DOCKER_BUILD_ARGS", ""))
        self.run("build", *extra, "api", "worker")

    def up(self) -> None:
        """Returns when all HEADRACE_WORKERS are ready."""
        self.run("up", "--detach", *SERVICES)
        workers = int(self._environment["HEADRACE_WORKERS"])
        eventually(lambda: self.ready_workers() == workers, START_S)

    def scale(self, workers: int) -> None:
        """Returns when so many workers are ready and the others have drained."""
        self.run("up", "--detach", "--no-recreate", "--scale", f"worker={workers}", *SERVICES)
        eventually(lambda: self.ready_workers() == workers, START_S)

    def down(self) -> None:
        self.client.close()
        self.run("down", "--volumes", "--timeout", "60")

    def containers(self, service: str) -> list[str]:
        """Ids of the service's running containers."""
        return self.run("ps", "--quiet", service).split()

    def execute(self, service: str, *command: str) -> str:
        """Runs a command in the service's first container."""
        return docker("exec", self.containers(service)[0], *command)

    def ended(self, job_ids: list[str]) -> list[dict[str, Any]]:
        """The jobs, once all have ended."""
        return [self.job(job_id, wait_s=110) for job_id in job_ids]

    def completions(self) -> list[str]:
        """Ids of the jobs in the completion log, one for each result that was written."""
        read = ("XRANGE", "headrace:completions", "-", "+")
        entries = json.loads(self.execute("redis", "redis-cli", "--json", *read))
        return [fields[fields.index("id") + 1] for _entry, fields in entries]

    def ready_workers(self) -> int:
        try:
            response = self.client.get("/readyz")
        except httpx.TransportError:
            return -1
        return int(response.json()["workers"]["ready"]) if response.status_code == 200 else -1


def docker(*arguments: str) -> str:
    return _output(["docker", *arguments], os.environ)


def inspect(container: str) -> dict[str, Any]:
    (found,) = json.loads(docker("inspect", container))
    return dict(found)


def logs(container: str) -> str:
    """What it has written so far, to either stream."""
    command = ["docker", "logs", container]
    return subprocess.run(command, stdout=PIPE, stderr=STDOUT, text=True, check=True).stdout


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"{shlex.join(command)}\n{run.stdout}\n{run.stderr}"
    return run.stdout
