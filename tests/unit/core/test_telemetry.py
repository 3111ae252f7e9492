"""Logs: one JSON line a record, in Elastic's names, from any logger and thread."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
import structlog

from headrace.core.settings import Settings
from headrace.core.telemetry import configure_logging


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_record_is_one_json_line_with_its_service_and_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"), "worker-1")
    structlog.get_logger().info("request finished", job_id="a", total_ms=1.5)

    (line,) = lines(capsys)
    assert line["message"] == "request finished"
    assert line["service"] == {"name": "worker-1"}
    assert (line["job_id"], line["total_ms"]) == ("a", 1.5)
    assert line["log.level"] == "info"
    assert "@timestamp" in line


def test_records_of_libraries_and_of_other_threads_look_alike(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"), "api")
    with ThreadPoolExecutor() as pool:
        pool.submit(logging.getLogger("gunicorn.error").warning, "hello %s", "you").result()

    (line,) = lines(capsys)
    assert (line["message"], line["service"]) == ("hello you", {"name": "api"})


def test_an_exception_keeps_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "api")
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("request failed")

    (line,) = lines(capsys)
    assert "ValueError: why" in str(line["error"])


def test_the_text_of_an_error_stands_beside_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "api")
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("request failed", error="because", host="::1", port=80)

    (line,) = lines(capsys)
    error = cast(dict[str, str], line["error"])
    assert error["message"] == "because"
    assert "ValueError: why" in error["stack_trace"]
    assert line["server"] == {"address": "::1", "port": 80}


def test_records_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="warning"), "api")
    structlog.get_logger().info("quiet")

    assert lines(capsys) == []


def test_a_trace_on_a_console_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"), "api")
    prompt = "sword" + "fish"
    try:
        raise ValueError(len(prompt))
    except ValueError:
        structlog.get_logger().exception("request failed")

    shown = capsys.readouterr().err
    assert "ValueError: 9" in shown
    assert "swordfish" not in shown


def test_a_console_line_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"), "worker-1")
    structlog.get_logger().info("ready", url="http://x")

    shown = capsys.readouterr().err
    assert "ready" in shown
    assert "worker-1" in shown
