"""`python -m scaler`: keeps the right number of workers until a signal ends it."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
from collections.abc import Callable
from threading import Event

import structlog

from headrace.core.clock import Clock, SystemClock
from headrace.core.connection import API_TIMEOUT_S, Client, connect, require_master
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.errors import HeadraceError, SettingsError
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.log_loss import LogLoss
from headrace.core.jobs.sweeper import BEAT_S, Sweeper
from headrace.core.leadership import Leadership, Spectator
from headrace.core.settings import Settings, load_settings
from headrace.core.telemetry import configure_logging
from scaler.daemon import Daemon
from scaler.fleets import make_fleet
from scaler.mind import PolicyMind, stale_s
from scaler.reader import Reader

log = structlog.get_logger()


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "scaler")
        serve(settings)
    except HeadraceError as error:
        sys.exit(f"scaler: {error}")


def serve(settings: Settings) -> None:
    """Returns after a signal. Raises `SettingsError` where it has no Redis, or no bounds."""
    redis, clock = redis_of(settings), SystemClock()
    require_master(redis)
    leadership = Leadership(redis, settings, new_name(), stale_s(settings))
    sweeper = Sweeper(Leases(redis, settings), settings.lease_s, BEAT_S, clock)
    log_loss = LogLoss(redis, settings, "scaler")

    def beat() -> None:
        log_loss.hand_in()
        sweeper.beat()

    most = settings.scaler_max
    log.info("scales", least=settings.scaler_min, most=most, policy=settings.scaler_policy)
    make_daemon(redis, leadership, settings, clock).run(stopped_by_signals(), beat)


def watch(settings: Settings, show: Callable[[str], None], once: bool = False) -> None:
    """Shows what it would decide, as JSON lines, and changes nothing. Raises as `serve` does."""
    redis, clock = redis_of(settings), SystemClock()
    daemon = make_daemon(redis, Spectator(redis, settings, "", 0.0), settings, clock)
    stopped = stopped_by_signals()
    while not stopped.is_set():
        if record := daemon.tick():
            show(record.encode())
        if once:
            return
        stopped.wait(settings.scaler_tick_s)


def make_daemon(redis: Client, leadership: Leadership, settings: Settings, clock: Clock) -> Daemon:
    fleet = make_fleet(settings, redis, leadership)
    return Daemon(
        Reader(redis, stale_s(settings), clock, fleet.number_of),
        leadership,
        DesiredFleet(redis, settings),
        fleet,
        lambda size: PolicyMind(settings, size),
        settings,
        clock,
    )


def redis_of(settings: Settings) -> Client:
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: the scaler needs the queue's Redis")
    if settings.scaler_max is None:
        raise SettingsError("HEADRACE_SCALER_MAX: the scaler needs to know how far it may go")
    return connect(settings.redis_url, API_TIMEOUT_S)


def new_name() -> str:
    """Of one process: a successor on the same host is another scaler."""
    return f"scaler-{socket.gethostname()}-{secrets.token_hex(3)}"


def stopped_by_signals() -> Event:
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


if __name__ == "__main__":
    main()
