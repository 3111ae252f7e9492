"""The site of one run: Redis, proxy, fleet, load, and the checker that watches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, Self

from redis.exceptions import RedisError

from headrace.core import events
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import Request
from tests.chaos.acknowledgements import Acknowledgements
from tests.chaos.api import ApiProcess
from tests.chaos.checker import Checker
from tests.chaos.crew import FollowingCrew
from tests.chaos.fleet import Fleet
from tests.chaos.load import Load
from tests.chaos.patience import until
from tests.chaos.proxy import Proxy
from tests.chaos.scaler import ScalerProcess
from tests.chaos.server import RedisServer

MOST_JOBS = 1000
LAW = {"simulated_alpha_s": 0.02, "simulated_beta_s": 0.0, "simulated_gamma_s": 0.0}
LEASE_S = 1.0
RECENT = 50


class Server(Protocol):
    """What a site wants of its Redis, or of the deployment around it."""

    port: int
    client: Client

    def start(self) -> object: ...

    def close(self) -> None: ...


class Site:
    """Workers reach Redis through `proxy`, the load through `load_proxy`, witnesses past both.

    Everything ends with the `with` block, whatever happens in it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        supervised: bool,
        serve: Callable[[Path, dict[str, Any]], Server],
        changes: dict[str, Any],
    ) -> None:
        self.recoveries: list[float] = []
        self._loads: list[Load] = []
        self._folder = folder
        self._supervised = supervised
        self._changes = LAW | {"lease_s": LEASE_S, "log_format": "json"} | changes
        self._stack = ExitStack()
        self._server = serve(folder, self._changes)

    @property
    def server(self) -> RedisServer:
        """The Redis of a site that has no whole deployment around it."""
        assert isinstance(self._server, RedisServer)
        return self._server

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self._stack.callback(self._server.close)
        self._server.start()
        self.proxy, self.load_proxy = self._open_proxy(), self._open_proxy()
        self.settings = self._settings()
        self.queue = JobQueue(self._server.client, self.settings)
        self._watch()
        self.fleet = Fleet(
            self._folder, self._server.client, self.settings, supervised=self._supervised
        )
        self._stack.callback(self.fleet.close)
        self.fleet.start()

    def _open_proxy(self) -> Proxy:
        proxy = Proxy(self._server.port)
        proxy.start()
        self._stack.callback(proxy.close)
        return proxy

    def _settings(self) -> Settings:
        url = f"redis://127.0.0.1:{self.proxy.port}"
        return Settings(redis_url=url, state_dir=self._folder, engine="simulated", **self._changes)

    def _watch(self) -> None:
        self.acknowledgements = Acknowledgements(self._folder / "acknowledged")
        self._stack.callback(self.acknowledgements.close)
        self.checker = Checker(self.queue, self.acknowledgements)
        self._stack.callback(self.checker.reader.stop)
        self.checker.reader.start()

    def load(self, orders: Iterator[Request], pace_s: float = 0.03, most: int = MOST_JOBS) -> Load:
        """A load that has begun; it submits as the API would."""
        client = connect(f"redis://127.0.0.1:{self.load_proxy.port}", API_TIMEOUT_S)
        self._stack.callback(client.connection_pool.disconnect)
        load = Load(JobQueue(client, self.settings), self.acknowledgements, orders, pace_s, most)
        self._stack.callback(load.stop)
        self._loads.append(load)
        load.start()
        return load

    def replica(self) -> RedisServer:
        """One more server, which is nobody's replica yet."""
        replica = RedisServer(self._folder / "replica")
        self._stack.callback(replica.close)
        replica.start()
        return replica

    def lead_to(self, server: RedisServer) -> None:
        """Leads workers and load to another server; their connections are reset."""
        for proxy in (self.proxy, self.load_proxy):
            proxy.lead_to(server.port)

    def crew(self, size: int) -> FollowingCrew:
        """Workers that have begun with this number, and follow the scaler's."""
        crew = FollowingCrew(self._folder, self._server.client, self.settings, size)
        self._stack.callback(crew.close)
        crew.start()
        return crew

    def scaler(self, failpoints: str = "") -> ScalerProcess:
        """One more scaler."""
        scaler = ScalerProcess(self._folder, self.settings, failpoints)
        self._stack.callback(scaler.kill)
        return scaler

    def api(self, failpoints: str = "") -> ApiProcess:
        """The API, which answers."""
        api = ApiProcess(self._folder, self.settings, failpoints)
        self._stack.callback(api.kill)
        api.start()
        return api

    def submit(self, *requests: Request) -> None:
        """At once, past the proxy."""
        for request in requests:
            self.queue.submit(request)
            self.acknowledgements.write(request.id)

    def settle(self, within_s: float) -> None:
        """Waits, without further load, until every acknowledged job has ended. Raises `Broken`."""
        for load in self._loads:
            load.stop()
        until("every acknowledged job ends", lambda: not self.checker.unfinished(), within_s)

    def note_recovery(self, since: float, within_s: float = 30.0) -> None:
        """How long after `since` (seconds since the epoch) the first job ended."""
        until("a job ends again", lambda: self._ends_after(since), within_s)
        self.recoveries.append(min(self._ends_after(since)) - since)

    def _ends_after(self, since: float) -> list[float]:
        try:
            records = events.completions(self._server.client, RECENT)
        except RedisError:
            return []
        ends = [record.timings.committed or 0.0 for record in records]
        return [end for end in ends if end > since]
