"""`python -m worker`: settings, engine, then jobs until a signal ends it."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import structlog

from batcher.admission import make_admission
from headrace.core.card_store import CardStore
from headrace.core.clock import SystemClock
from headrace.core.connection import WORKER_TIMEOUT_S, connect, require_durable, require_master
from headrace.core.cores import with_fair_threads
from headrace.core.drain_signal import DRAIN
from headrace.core.errors import CANNOT_EVER, HeadraceError, ModelError, SettingsError
from headrace.core.fidelity import Fidelity
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.model_card import ModelCard
from headrace.core.open_files import OWN_FILES, require_files
from headrace.core.process_age import process_age_s
from headrace.core.roster import Roster
from headrace.core.settings import Settings, load_settings
from headrace.core.telemetry import configure_logging
from headrace.core.unknown_variables import warn_of_unknown_variables
from worker.answer_check.checks import make_answer_checks
from worker.batch_worker import BatchWorker
from worker.engine_port import EnginePort, LocalEngine
from worker.engine_process.child import launcher
from worker.engine_process.client import EngineProcess
from worker.heartbeat import Heartbeat
from worker.insistence import insist
from worker.loading import load
from worker.schema_desk import make_schema_desk
from worker.schema_gate import make_schema_gate
from worker.traces import make_traces

log = structlog.get_logger()


class Model(NamedTuple):
    """The model that a worker runs; `path` is what its engine has loaded."""

    card: ModelCard
    path: Path
    fidelity: Fidelity | None


def main() -> None:
    arguments = _parse()
    # Until the worker drains at signals: the first process of a container ignores them otherwise.
    for number in (signal.SIGTERM, DRAIN):
        signal.signal(number, _end)
    try:
        settings = with_fair_threads(load_settings())
        configure_logging(settings, arguments.name)
        warn_of_unknown_variables(os.environ)
        require_files(OWN_FILES)
        serve(settings, arguments.name)
    except HeadraceError as error:
        print(f"worker: {error}", file=sys.stderr)
        sys.exit(CANNOT_EVER if isinstance(error, ModelError | SettingsError) else 1)
    except Exception:
        log.exception("worker fails")
        sys.exit(1)


def serve(settings: Settings, name: str) -> None:
    """Loads the engine and runs jobs until a signal has drained the worker."""
    if settings.redis_url is None:
        raise SettingsError("REDIS_URL: a worker needs the queue's Redis")
    redis, clock = connect(settings.redis_url, WORKER_TIMEOUT_S), SystemClock()
    require_master(redis)
    require_durable(redis)
    traces = make_traces(settings, name)
    roster = Roster(redis, settings.lease_s)
    insist(lambda: roster.announce(name, process_age_s()), clock)

    engine, model = start_engine(settings, name)
    cards = CardStore(redis)
    insist(lambda: cards.put(model.card), clock)

    leases = Leases(redis, settings)
    queue, admission = JobQueue(redis, settings), make_admission(settings, clock)
    gate = make_schema_gate(redis, engine, model.card, settings)
    checks = make_answer_checks(engine)
    worker = BatchWorker(
        queue, leases, engine, admission, clock, name, model.card.hash, traces, gate, checks
    )
    desk = make_schema_desk(settings, engine, model.card, model.path)
    counters = Counters(redis, settings)
    heartbeat = Heartbeat(
        worker, leases, counters, roster, cards, model.card, clock, model.fidelity
    )
    for begin in (worker.start, heartbeat.beat, lambda: roster.arrive(name, process_age_s())):
        insist(begin, clock)
    heartbeat.start()
    desk.start()
    try:
        worker.run()
    finally:
        heartbeat.stop()
        desk.stop()
        checks.stop()
        traces.close()
        engine.close()


def start_engine(settings: Settings, name: str) -> tuple[EnginePort, Model]:
    """The engine, loaded, and the model that it runs. Raises `ModelError`, `EngineError`."""
    if settings.engine_process:
        process = EngineProcess(settings, launcher(name))
        return process, Model(process.card, process.model_path, process.fidelity)
    prepared, engine = load(settings, name)
    return LocalEngine(engine), Model(prepared.card, prepared.path, prepared.fidelity)


def _end(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Runs jobs of the queue on one model. Settings are HEADRACE_… variables: "
        "`headrace settings` lists them.",
    )
    parser.add_argument(
        "--name",
        # Not the pid: a container that starts again after a kill -9 has the same one, and RQ
        # refuses the name of a worker whose death it has not noticed yet.
        default=f"worker-{socket.gethostname()}-{secrets.token_hex(3)}",
        help="name in logs and in RQ; must be unique among live workers",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
