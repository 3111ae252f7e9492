"""The workers' containers: as many as are wanted."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from threading import Event, Thread

import structlog
from redis.exceptions import RedisError

from headrace.core.clock import Clock
from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.errors import Unavailable
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from scaler.compose_project import ComposeProject, Container

FIRST_LOOK_S = 5.0
"""So long the first reading waits for Docker."""

LOOK_LASTS_S = 90.0
"""Who is where changes slowly, and Docker may be busy with what it was told."""

_HOST = re.compile(r"worker-([0-9a-f]{12})-")

log = structlog.get_logger()


class ComposeCrew:
    """Looks at the containers all the time, so that nobody else ever waits for Docker.

    Workers are numbered by their containers' place among all: a number that was removed leaves no
    gap. The highest go first, and only when they are drained and dismissed.
    """

    def __init__(
        self,
        project: ComposeProject,
        redis: Client,
        leadership: Leadership,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._project = project
        self._redis = redis
        self._leadership = leadership
        self._desired = DesiredFleet(redis, settings)
        self._roster = Roster(redis, settings.lease_s)
        self._every_s = settings.scaler_tick_s
        self._clock = clock
        self._look: tuple[float, Sequence[Container]] | None = None
        self._has_looked = Event()

    def start(self) -> None:
        """Watches in a thread of its own for as long as the process lives."""
        Thread(target=self.run, args=[Event()], name="compose", daemon=True).start()

    def run(self, stopped: Event) -> None:
        """Watches once a tick; nothing that fails ends it."""
        while not stopped.is_set():
            try:
                self.watch()
            except (Unavailable, RedisError, ValueError) as error:
                log.warning("the containers stay as they are", error=str(error))
            except Exception:
                log.exception("the containers stay as they are")
            stopped.wait(self._every_s)

    def number_of(self, worker: str) -> int | None:
        """From 1; None for a worker that is in no container of the project.

        Raises `Unavailable` where Docker has not answered for long.
        """
        hosts = [container.host for container in self._newest_look()]
        host = host_of(worker)
        return hosts.index(host) + 1 if host in hosts else None

    def watch(self) -> None:
        """Looks; if this scaler leads, lets those go who are dismissed, or starts who is missing.

        Raises `Unavailable` or `redis.exceptions.RedisError`: all stays as it is.
        """
        containers = self._look_again()
        if not self._leadership.leads():
            return
        self._bury(containers)
        size = self._desired.read().size
        if size is None:
            return
        if gone := self._dismissed(containers, size):
            log.info("containers end", hosts=[each.host for each in gone], wanted=size)
            self._project.remove(gone)
        elif len(containers) < size or not all(each.runs for each in containers[:size]):
            log.info("containers start", present=len(containers), wanted=size)
            self._project.grow(max(size, len(containers)))

    # -- who is there --------------------------------------------------------------------------

    def _look_again(self) -> Sequence[Container]:
        try:
            containers = self._project.workers()
            self._look = (self._clock.now(), containers)
            return containers
        finally:
            self._has_looked.set()

    def _newest_look(self) -> Sequence[Container]:
        self._has_looked.wait(FIRST_LOOK_S)
        at, containers = self._look or (-math.inf, ())
        if self._clock.now() - at > LOOK_LASTS_S:
            raise Unavailable("Docker does not say which containers there are")
        return containers

    # -- who goes ------------------------------------------------------------------------------

    def _dismissed(self, containers: Sequence[Container], size: int) -> list[Container]:
        """Those that may be stopped: whoever is dismissed will never be busy again."""
        return [
            container
            for place, container in enumerate(containers)
            if self._may_go(container, is_surplus=place >= size)
        ]

    def _may_go(self, container: Container, is_surplus: bool) -> bool:
        """One that was dismissed and is wanted by now goes too: it takes no job any more.

        A worker that has not shown itself yet is waited for: it may be about to take jobs.
        """
        names = self._names(keys.WORKERS) | set(self._starting())
        workers = {name for name in names if host_of(name) == container.host}
        if not workers:
            return is_surplus and container.state != "running"
        if is_surplus:
            return all([self._desired.dismiss(worker) for worker in workers])
        return workers <= self._names(keys.DISMISSED)

    # -- who is gone ---------------------------------------------------------------------------

    def _bury(self, containers: Sequence[Container]) -> None:
        """Those that were dismissed and have ended, and those that died as they came."""
        hosts = {container.host for container in containers}
        ended = [name for name in self._names(keys.DISMISSED) if host_of(name) not in hosts]
        for worker in (*ended, *self._died_as_they_came(hosts)):
            self._roster.leave(worker)
            self._desired.bury(worker, is_blameless=False)

    def _died_as_they_came(self, hosts: Collection[str]) -> list[str]:
        """Docker starts a container again: of those that start in it only the youngest lives."""
        starting = [name for name in self._starting() if host_of(name) in hosts]
        youngest = {host_of(name): name for name in starting}
        return [name for name in starting if youngest[host_of(name)] != name]

    def _starting(self) -> list[str]:
        """The youngest last."""
        began = self._redis.hgetall(keys.STARTING)
        return [name.decode() for name in sorted(began, key=lambda name: float(began[name]))]

    def _names(self, key: str) -> set[str]:
        return {name.decode() for name in self._redis.smembers(key)}


def host_of(worker: str) -> str | None:
    """The container of a worker by its name; None for one that has a name of another kind."""
    match = _HOST.match(worker)
    return match[1] if match else None
