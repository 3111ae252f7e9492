"""Log records as lines of JSON in Elastic Common Schema.

The schema's own formatter takes twice as long, half of a line's time.
"""

from __future__ import annotations

import json
from typing import Any

from structlog.typing import EventDict

VERSION = "1.6.0"
"""Of the schema."""

NESTED = {
    "service.name": ("service", "name"),
    "error": ("error", "message"),
    "exception": ("error", "stack_trace"),
    "host": ("server", "address"),
    "port": ("server", "port"),
}
"""Fields for which the schema has objects: text there would be refused by Elasticsearch."""


def render(_logger: Any, level: str, event: EventDict) -> str:
    """The record as one line: time, level and message first."""
    line: dict[str, Any] = {
        "@timestamp": event.pop("@timestamp"),
        "log.level": level.lower(),
        "message": str(event.pop("event")),
        "ecs.version": VERSION,
    }
    for name, value in event.items():
        if name in NESTED:
            outer, inner = NESTED[name]
            line.setdefault(outer, {})[inner] = value
        else:
            line[name] = value
    return _ENCODER.encode(line)


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=repr)
