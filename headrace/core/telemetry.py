"""Structured logs: readable on a terminal, JSON lines in Elastic Common Schema elsewhere.

Prompts, outputs and keys are never logged; a job is named by its id.
"""

from __future__ import annotations

import _thread
import logging
from collections.abc import Sequence
from typing import Any, TextIO, cast

import ecs_logging
import structlog
from structlog.typing import EventDict, Processor

from headrace.core.lossy_stream import StartThread
from headrace.core.settings import Settings
from headrace.core.standard_streams import lose_errors, open_standard_streams

ECS_NAMES = {"error": "error.message", "host": "server.address", "port": "server.port"}
"""Fields that Elastic's schema has objects for: text there would be refused by Elasticsearch."""

_JSON_TIME = structlog.processors.TimeStamper(fmt="iso", utc=True, key="@timestamp")
_CONSOLE_TIME = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)


def configure_logging(
    settings: Settings, service: str, start_thread: StartThread = _thread.start_new_thread
) -> None:
    """Sends every log record of this process to stderr, under its service's name.

    Whatever is printed to stderr may be lost from now on, and never stops or ends the process.
    """
    open_standard_streams()
    stderr = lose_errors(start_thread=start_thread)
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not stderr.isatty()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _Service("service.name" if as_json else "service", service),
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _JSON_TIME if as_json else _CONSOLE_TIME,
    ]
    rendering = _json() if as_json else [_console()]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *rendering,
        ],
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for noisy in ("rq.worker", "httpx", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *rendering],
        # Not by way of the standard library: a line would take twice as long.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stderr)),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    stderr.report = _LossReport([*shared, *rendering])


def _console() -> Processor:
    # Its own tracebacks show local variables, and so prompts.
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _json() -> list[Processor]:
    ecs = cast(Processor, ecs_logging.StructlogFormatter())
    return [_drop_level, _name_as_ecs, structlog.processors.format_exc_info, ecs]


def _drop_level(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The ECS renderer writes `log.level` itself."""
    del event["level"]
    return event


def _name_as_ecs(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name, field in ECS_NAMES.items():
        if name in event:
            event[field] = event.pop(name)
    return event


class _Service:
    """Adds the service to each record, whichever thread or greenlet it comes from."""

    def __init__(self, key: str, name: str) -> None:
        self._key, self._name = key, name

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        event.setdefault(self._key, self._name)
        return event


class _LossReport:
    """Renders the record of lost lines, without the locks that loggers take."""

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = processors

    def __call__(self, lines: int) -> str:
        record: Any = {"event": "log lines lost", "lines": lines}
        for process in self._processors:
            record = process(None, "warning", record)
        return f"{record}\n"
