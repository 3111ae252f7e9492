"""`python -m headrace.monitor`: exports the metrics of the whole fleet until a signal ends it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()  # before anything else imports a socket: one slow scrape delays no other

import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
import structlog  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from prometheus_client import CollectorRegistry  # noqa: E402

from headrace.core.api_key_store import ApiKeyStore  # noqa: E402
from headrace.core.clock import SystemClock  # noqa: E402
from headrace.core.connection import API_TIMEOUT_S, connect  # noqa: E402
from headrace.core.errors import HeadraceError, SettingsError  # noqa: E402
from headrace.core.jobs.leases import Leases  # noqa: E402
from headrace.core.jobs.sweeper import BEAT_S, Sweeper  # noqa: E402
from headrace.core.settings import Settings, load_settings  # noqa: E402
from headrace.core.telemetry import configure_logging  # noqa: E402
from headrace.core.unknown_variables import warn_of_unknown_variables  # noqa: E402
from headrace.monitor.exporter import FleetCollector  # noqa: E402
from headrace.monitor.fleet import Fleet  # noqa: E402
from headrace.monitor.gate import Gate  # noqa: E402
from headrace.monitor.server import monitor_app  # noqa: E402

log = structlog.get_logger()


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "monitor")
        warn_of_unknown_variables(os.environ)
        serve(settings)
    except HeadraceError as error:
        sys.exit(f"monitor: {error}")


def serve(settings: Settings) -> None:
    """Raises `SettingsError` where there is no Redis, or the port is taken."""
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: the monitor needs the queue's Redis")
    redis = connect(settings.redis_url, API_TIMEOUT_S)
    registry = CollectorRegistry()
    registry.register(FleetCollector(Fleet(redis, settings)))
    address = (settings.host, settings.metrics_port)
    gate = Gate(settings, ApiKeyStore(redis))
    server = WSGIServer(address, monitor_app(registry, gate), log=None)
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, server.stop)
    try:
        server.start()
    except OSError as error:
        raise SettingsError(
            f"HEADRACE_HOST, HEADRACE_MONITOR_PORT: cannot listen on {address[0]}:{address[1]}: "
            f"{error.strerror}"
        ) from error
    sweeper = Sweeper(Leases(redis, settings), settings.lease_s, BEAT_S, SystemClock())
    gevent.spawn(sweep_for_ever, sweeper)
    log.info("exports the fleet's metrics", host=settings.host, port=settings.metrics_port)
    server.serve_forever()


def sweep_for_ever(sweeper: Sweeper) -> None:
    """Deadlines pass and retries fall due though no worker lives."""
    while True:
        gevent.sleep(BEAT_S)
        try:
            sweeper.beat()
        except Exception as error:  # a failing sweep never ends the loop
            log.warning("could not sweep", error=str(error))


if __name__ == "__main__":
    main()
