"""`python -m headrace.monitor`: watches the deployment, raises alerts, exports metrics."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()  # before anything else imports a socket: one slow scrape delays no other

import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
import structlog  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from prometheus_client import CollectorRegistry  # noqa: E402

from headrace.core.api_key_store import ApiKeyStore  # noqa: E402
from headrace.core.clock import SystemClock  # noqa: E402
from headrace.core.connection import API_TIMEOUT_S, connect  # noqa: E402
from headrace.core.errors import HeadraceError, SettingsError  # noqa: E402
from headrace.core.exposure import local_url  # noqa: E402
from headrace.core.jobs.leases import Leases  # noqa: E402
from headrace.core.jobs.log_loss import LogLoss  # noqa: E402
from headrace.core.jobs.sweeper import BEAT_S, Sweeper  # noqa: E402
from headrace.core.readings.fleet import Fleet  # noqa: E402
from headrace.core.settings import Settings, load_settings  # noqa: E402
from headrace.core.telemetry import configure_logging  # noqa: E402
from headrace.core.unknown_variables import warn_of_unknown_variables  # noqa: E402
from headrace.monitor.delivery import Delivery  # noqa: E402
from headrace.monitor.exporter import FleetCollector  # noqa: E402
from headrace.monitor.gate import Gate  # noqa: E402
from headrace.monitor.own_metrics import MonitorCollector  # noqa: E402
from headrace.monitor.prober import Prober  # noqa: E402
from headrace.monitor.probes import TIMEOUT_S as PROBE_TIMEOUT_S  # noqa: E402
from headrace.monitor.probes import make_probes  # noqa: E402
from headrace.monitor.server import monitor_app  # noqa: E402
from headrace.monitor.sight import Sight  # noqa: E402
from headrace.monitor.sinks import make_sinks  # noqa: E402
from headrace.monitor.watch import Watch  # noqa: E402

log = structlog.get_logger()


def main() -> None:
    try:
        settings = load_settings()
        configure_logging(settings, "monitor", monkey.get_original("_thread", "start_new_thread"))
        warn_of_unknown_variables(os.environ)
        serve(settings)
    except HeadraceError as error:
        sys.exit(f"monitor: {error}")


def serve(settings: Settings) -> None:
    """Raises `SettingsError` where there is no Redis, or the port is taken."""
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: the monitor needs the queue's Redis")
    redis = connect(settings.redis_url, API_TIMEOUT_S)
    clock = SystemClock()
    api_url = settings.api_url or local_url(settings.host, settings.port)
    probes = make_probes(settings, connect(settings.redis_url, PROBE_TIMEOUT_S), api_url)
    sight = Sight(time.time(), {target: Prober(probe, clock) for target, probe in probes.items()})
    registry = CollectorRegistry()
    registry.register(MonitorCollector(sight, settings))
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
    sweeper = Sweeper(Leases(redis, settings), settings.lease_s, BEAT_S, clock)
    gevent.spawn(sweep_for_ever, sweeper, LogLoss(redis, settings, "monitor"))
    Watch(redis, settings, sight, [Delivery(sink, clock) for sink in make_sinks(settings)]).start()
    log.info("exports the fleet's metrics", host=settings.host, port=settings.metrics_port)
    server.serve_forever()


def sweep_for_ever(sweeper: Sweeper, log_loss: LogLoss) -> None:
    """Deadlines pass and retries fall due though no worker lives."""
    while True:
        gevent.sleep(BEAT_S)
        log_loss.hand_in()
        try:
            sweeper.beat()
        except Exception as error:  # a failing sweep never ends the loop
            log.warning("could not sweep", error=str(error))


if __name__ == "__main__":
    main()
