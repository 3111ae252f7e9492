"""What `headrace up` runs: the children of one machine, and how each is started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import headrace
from headrace.cli.api_address import ApiAddress
from headrace.cli.child import Child
from headrace.cli.crew import Crew
from headrace.cli.embedded_redis import prepare_embedded_redis
from headrace.cli.process import Process, SessionProcess, Spawn, how_it_ended
from headrace.cli.redis_ping import answers_ping, require_answer
from headrace.cli.state_folder import Lock, locked
from headrace.cli.supervisor import Children, Supervisor
from headrace.cli.wanted import FixedNumber, ScaledNumber, Wanted
from headrace.cli.worker_release import WorkerRelease
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.clock import Clock, SystemClock
from headrace.core.connection import API_TIMEOUT_S, Client, connect, require_durable, require_master
from headrace.core.cores import with_fair_threads
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.drain_signal import DRAIN
from headrace.core.errors import Unavailable
from headrace.core.exposure import require_lock
from headrace.core.jobs.log_loss import LogLoss
from headrace.core.settings import Settings, as_environment
from headrace.core.standard_streams import lose_output
from headrace.core.telemetry import configure_logging
from headrace.core.unknown_variables import unknown_variables, warn_of_unknown_variables

ENDING_S = 10.0
"""How long the API of a supervisor that was killed may hold its port."""

# -P: a folder named `api` or `worker` where the user happens to stand is not ours.
PYTHON = (sys.executable, "-P", "-m")
PREPARE_MODEL = (*PYTHON, "headrace", "model", "prepare")
SERVE_API = (*PYTHON, "gunicorn", "-c", "python:api.gunicorn_conf", "api.app:create_app()")
RUN_WORKER = (*PYTHON, "worker", "--name")
RUN_MONITOR = (*PYTHON, "headrace.monitor")
RUN_SCALER = (*PYTHON, "scaler")


@dataclass(frozen=True)
class RedisPart:
    """The Redis of a deployment; `children` is empty where it is somebody else's."""

    url: str
    client: Client
    children: Sequence[Child]
    is_ready: Callable[[], bool]


def run_deployment(settings: Settings) -> None:
    """Returns after a signal, once everything has ended.

    Raises `HeadraceError` when something is in the way of a start.
    """
    settings = settings.model_copy(update={"scaler_fleet": "processes"})  # whatever others keep
    configure_logging(settings, "supervisor")
    lose_output()
    warn_of_unknown_variables(os.environ)
    settings = with_scaler(settings)
    clock = SystemClock()
    address = ApiAddress(settings.host, settings.port)
    metrics = ApiAddress(settings.host, settings.metrics_port, "HEADRACE_MONITOR_PORT")
    with locked(settings.state_folder) as lock:
        for each in (address, metrics):
            each.wait_until_free(ENDING_S if lock.was_killed else 0.0, clock)
        redis = _redis_part(settings, lock, clock)
        supervisor = Supervisor(
            _children(settings, redis, clock),
            is_redis_ready=redis.is_ready,
            is_serving=lambda: address.is_serving(settings.first_workers),
            announce=lambda: click.echo(f"ready {address.url}"),
            beat=LogLoss(redis.client, settings, "supervisor").hand_in,
            grace_s=settings.drain_s,
            clock=clock,
        )
        _stop_at_signals(supervisor, lock)
        supervisor.run()


def with_scaler(settings: Settings) -> Settings:
    """A scaler of no room where none is asked for: it keeps `workers`, and what people fix.

    Not beside a Redis of the user's: another `headrace up` there may have workers of its own.
    """
    if settings.scaler_max is not None or settings.redis_url is not None or not settings.metrics:
        return settings
    bounds = dict.fromkeys(("scaler_min", "scaler_max"), settings.workers)
    return settings.model_copy(update=bounds)


def _redis_part(settings: Settings, lock: Lock, clock: Clock) -> RedisPart:
    if settings.redis_url is None:
        return _embedded_redis(settings, lock.was_on_purpose, clock)
    client = connect(settings.redis_url, API_TIMEOUT_S)
    require_answer(client, settings.redis_url)
    require_master(client)
    require_durable(client)
    require_lock(settings, ApiKeyStore(client))
    return RedisPart(settings.redis_url, client, (), lambda: True)


def _embedded_redis(settings: Settings, was_on_purpose: bool, clock: Clock) -> RedisPart:
    server = prepare_embedded_redis(settings.state_folder)
    server.wait_for_earlier_server(clock)
    client = connect(server.url, API_TIMEOUT_S)
    keys = ApiKeyStore(client)
    child = Child(
        "redis",
        lambda run: server.command(),
        spawn=_spawn_redis,
        clock=clock,
        is_well=server.socket_path.exists,
    )

    def is_ready() -> bool:
        if child.last_exit is not None:
            raise Unavailable(
                f"the embedded Redis {how_it_ended(child.last_exit)} at its start: "
                f"{server.why_it_ended()}"
            )
        if not answers_ping(client):
            return False
        server.note_start()
        require_lock(settings, keys)
        # Nobody else reaches this server: whoever is registered in it ended with an earlier run.
        WorkerRelease(client, settings).release_all(on_purpose=was_on_purpose)
        return True

    return RedisPart(server.url, client, (child,), is_ready)


def _children(settings: Settings, redis: RedisPart, clock: Clock) -> Children:
    spawn = _spawn(_environment(settings, redis.url))
    return Children(
        redis=redis.children,
        model=Child("model preparation", lambda run: PREPARE_MODEL, spawn=spawn, clock=clock),
        api=Child("api", lambda run: SERVE_API, spawn=spawn, clock=clock),
        monitor=Child("monitor", lambda run: RUN_MONITOR, spawn=spawn, clock=clock),
        scaler=_scaler(settings, spawn, clock),
        workers=_crew(settings, redis, clock),
    )


def _scaler(settings: Settings, spawn: Spawn, clock: Clock) -> Sequence[Child]:
    if settings.scaler_max is None:
        return ()
    return (Child("scaler", lambda run: RUN_SCALER, spawn=spawn, clock=clock),)


def _crew(settings: Settings, redis: RedisPart, clock: Clock) -> Crew:
    wanted: Wanted = FixedNumber(settings.workers)
    if settings.scaler_max is not None:
        fleet = DesiredFleet(redis.client, settings)
        wanted = ScaledNumber(fleet, settings.first_workers, clock)
    release = WorkerRelease(redis.client, settings)

    def spawn(command: Sequence[str]) -> Process:
        # Its share of the cores is that of the fleet that it comes into.
        present = settings.model_copy(update={"workers": wanted.size()})
        return SessionProcess(command, _environment(present, redis.url), stop=DRAIN)

    def hire(number: int) -> Child:
        return Child(
            f"worker-{number}",
            lambda run: (*RUN_WORKER, run),
            spawn=spawn,
            clock=clock,
            on_death=release,
            on_end=release.without_blame,
        )

    return Crew(wanted, hire, clock)


def _spawn(environment: Mapping[str, str]) -> Spawn:
    def spawn(command: Sequence[str]) -> Process:
        return SessionProcess(command, environment)

    return spawn


def _spawn_redis(command: Sequence[str]) -> Process:
    """A Redis that outlives those who need it, whatever reaches all processes at once."""
    return SessionProcess(command, os.environ, stop=signal.SIGINT, is_shielded=True)


def _environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """What the children read: this process's settings, whatever way they were given."""
    shared = as_environment(with_fair_threads(settings))
    environment = {**os.environ, **shared, "REDIS_URL": redis_url}
    for name in unknown_variables(os.environ):  # it has been told once
        del environment[name]
    code = Path(headrace.__file__).parents[1]
    if not code.name.endswith("-packages"):  # A checkout that may not be installed.
        paths = [str(code), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _stop_at_signals(supervisor: Supervisor, lock: Lock) -> None:
    def stop(*_: object) -> None:
        lock.note_stop()
        supervisor.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    # `nohup` ignores it on purpose.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)
