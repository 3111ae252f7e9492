"""The workers' containers of one Compose project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from headrace.core.errors import Unavailable
from scaler.docker import Docker

SERVICE = "worker"
LABEL = "com.docker.compose"
STOP_S = 45
"""What a container has to end by itself, as in `docker-compose.yml`; one that is idle takes 2 s."""

FORMAT = "\t".join(
    [
        "{{.ID}}",
        f'{{{{.Label "{LABEL}.service"}}}}',
        f'{{{{.Label "{LABEL}.container-number"}}}}',
        "{{.State}}",
    ]
)


@dataclass(frozen=True, slots=True)
class Container:
    """`host` is the name that it has for itself: the first twelve digits of its id."""

    host: str
    number: int
    state: str

    @property
    def runs(self) -> bool:
        """Or is about to: Docker starts it again and again."""
        return self.state in ("running", "restarting")


class ComposeProject:
    """Raises `Unavailable` where Docker does not answer; all calls may be repeated."""

    def __init__(self, docker: Docker, name: str) -> None:
        self._docker = docker
        self._name = name

    def workers(self) -> list[Container]:
        """Also those that do not run; lowest number first. A number that was removed is left out.

        Raises `Unavailable` where the project has no container at all: it is down, or has another
        name. Nobody wants a worker of it then.
        """
        filters = (f"label={LABEL}.project={self._name}", f"label={LABEL}.oneoff=False")
        options = [part for each in filters for part in ("--filter", each)]
        listed = self._docker.run("docker", "ps", "--all", *options, "--format", FORMAT)
        rows = [line.split("\t") for line in listed.splitlines()]
        if not rows:
            raise Unavailable(f"the Compose project {self._name} has no containers")
        found = [
            Container(host, int(number), state)
            for host, service, number, state in rows
            if service == SERVICE
        ]
        return sorted(found, key=lambda container: container.number)

    def grow(self, size: int) -> None:
        """Starts who is missing of so many; nobody else is touched, whatever has changed since."""
        options = ("--detach", "--no-recreate", "--no-deps", "--no-build")
        scale = ("--scale", f"{SERVICE}={size}", SERVICE)
        self._docker.run(*self._compose, "--project-name", self._name, "up", *options, *scale)

    def remove(self, containers: Sequence[Container]) -> None:
        """By name: `--scale` with a smaller number would leave the choice to Compose."""
        hosts = [container.host for container in containers]
        self._docker.run("docker", "stop", "-t", str(STOP_S), *hosts)
        self._docker.run("docker", "rm", *hosts)

    @cached_property
    def _compose(self) -> tuple[str, ...]:
        """As a plugin of docker, or the older command of its own."""
        try:
            self._docker.run("docker", "compose", "version")
        except Unavailable:
            return ("docker-compose",)
        return ("docker", "compose")
