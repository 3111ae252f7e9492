"""Logs: one JSON line a record, in Elastic's names, from any logger and thread."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
import structlog

from headrace.core.lossy_stream import LossyStream
from headrace.core.settings import Settings
from headrace.core.telemetry import configure_logging
from tests.standard_errors import drain_stderr, stderr_kept


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with stderr_kept():
        yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    drain_stderr()
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_a_record_is_one_json_line_with_its_service_and_fields(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"), "worker-1")
    structlog.get_logger().info("request finished", job_id="a", total_ms=1.5)

    (line,) = lines(capfd)
    assert line["message"] == "request finished"
    assert line["service"] == {"name": "worker-1"}
    assert (line["job_id"], line["total_ms"]) == ("a", 1.5)
    assert line["log.level"] == "info"
    assert "@timestamp" in line


def test_records_of_libraries_and_of_other_threads_look_alike(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"), "api")
    with ThreadPoolExecutor() as pool:
        pool.submit(logging.getLogger("gunicorn.error").warning, "hello %s", "you").result()

    (line,) = lines(capfd)
    assert (line["message"], line["service"]) == ("hello you", {"name": "api"})


def test_an_exception_keeps_its_trace(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "api")
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("request failed")

    (line,) = lines(capfd)
    assert "ValueError: why" in str(line["error"])


def test_the_text_of_an_error_stands_beside_its_trace(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "api")
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("request failed", error="because", host="::1", port=80)

    (line,) = lines(capfd)
    error = cast(dict[str, str], line["error"])
    assert error["message"] == "because"
    assert "ValueError: why" in error["stack_trace"]
    assert line["server"] == {"address": "::1", "port": 80}


def test_records_below_the_level_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="warning"), "api")
    structlog.get_logger().info("quiet")

    assert lines(capfd) == []


def test_a_trace_on_a_console_shows_no_variables(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"), "api")
    prompt = "sword" + "fish"
    try:
        raise ValueError(len(prompt))
    except ValueError:
        structlog.get_logger().exception("request failed")

    drain_stderr()
    shown = capfd.readouterr().err
    assert "ValueError: 9" in shown
    assert "swordfish" not in shown


def test_a_console_line_can_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"), "worker-1")
    structlog.get_logger().info("ready", url="http://x")

    drain_stderr()
    shown = capfd.readouterr().err
    assert "ready" in shown
    assert "worker-1" in shown


def test_lost_lines_are_a_record_like_any_other(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "api")
    assert isinstance(sys.stderr, LossyStream)
    sys.stderr.lost += 3
    structlog.get_logger().info("the disk has room again")

    _first, told = lines(capfd)
    assert (told["message"], told["lines"], told["log.level"]) == ("log lines lost", 3, "warning")
    assert told["service"] == {"name": "api"}
