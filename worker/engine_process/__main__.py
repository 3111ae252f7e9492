"""`python -m worker.engine_process`: what a worker starts to run its engine in."""

from __future__ import annotations

import argparse
import signal
import sys

import structlog

from headrace.core.cores import with_fair_threads
from headrace.core.errors import EngineError, HeadraceError
from headrace.core.jobs.failpoints import make_failpoints
from headrace.core.parent_death import end_with
from headrace.core.settings import load_settings
from headrace.core.telemetry import configure_logging
from worker import loading
from worker.engine_process.channel import Channel
from worker.engine_process.messages import Failed
from worker.engine_process.serving import serve

log = structlog.get_logger()


def main() -> None:
    arguments = _parse()
    end_with(arguments.parent, signal.SIGKILL)
    # A signal to the whole group or container is the worker's affair: it drains with our help.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(arguments.descriptor)
    settings = with_fair_threads(load_settings())
    configure_logging(settings, arguments.name)
    try:
        model, engine = loading.load(settings, arguments.name)
    except HeadraceError as error:
        channel.send(Failed(error))
        return
    except Exception as error:
        log.exception("engine fails")
        channel.send(Failed(EngineError(f"{type(error).__name__}: {error}")))
        return
    try:
        serve(engine, model, channel, make_failpoints(settings.failpoints))
    except Exception:
        log.exception("engine fails")
        sys.exit(1)
    finally:
        engine.close()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.engine_process", description=__doc__)
    parser.add_argument("--name", required=True, help="the worker's name, for the log")
    parser.add_argument("--parent", type=int, required=True, help="the worker's process id")
    parser.add_argument("--descriptor", type=int, required=True, help="this end of the pipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
