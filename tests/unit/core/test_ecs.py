"""Log records in Elastic's names."""

from __future__ import annotations

import json

from headrace.core import ecs


def test_time_level_and_message_come_first_and_known_fields_are_nested() -> None:
    event = {
        "event": "request failed",
        "@timestamp": "2026-11-30T00:00:00Z",
        "service.name": "api",
        "error": "because",
        "exception": "trace",
        "host": "::1",
        "port": 80,
        "path": {1},
    }

    line = ecs.render(None, "ERROR", event)

    assert line.startswith('{"@timestamp":"2026-11-30T00:00:00Z","log.level":"error","message":')
    assert json.loads(line) == {
        "@timestamp": "2026-11-30T00:00:00Z",
        "log.level": "error",
        "message": "request failed",
        "ecs.version": "1.6.0",
        "service": {"name": "api"},
        "error": {"message": "because", "stack_trace": "trace"},
        "server": {"address": "::1", "port": 80},
        "path": "{1}",
    }


def test_a_line_is_ascii_whatever_the_terminal_takes() -> None:
    assert ecs.render(None, "info", {"event": "é", "@timestamp": ""}).isascii()
