"""Misspelled settings are told, and nothing else is."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from headrace.core.settings import Settings, as_environment
from headrace.core.unknown_variables import (
    nearest,
    unknown_variables,
    warn_of_unknown_variables,
)


def test_each_unknown_variable_is_told_with_the_nearest_known_one_and_without_its_value() -> None:
    with capture_logs() as logs:
        warn_of_unknown_variables({"HEADRACE_WORKER": "swordfish", "HEADRACE_PORT": "9000"})

    (line,) = logs
    assert (line["variable"], line["nearest"]) == ("HEADRACE_WORKER", "HEADRACE_WORKERS")
    assert line["log_level"] == "warning"
    assert "swordfish" not in str(line)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("HEADRACE_MONITR_PORT", "HEADRACE_MONITOR_PORT"),
        ("HEADRACE_MAX_SLOT", "HEADRACE_MAX_SLOTS"),
        ("HEADRACE_LEASE", "HEADRACE_LEASE_S"),
        ("HEADRACE_APIKEY", "HEADRACE_API_KEY"),
        ("headrace_modle", "HEADRACE_MODEL"),
        ("HEADRACE_ZZZ", None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(name: str, known: str | None) -> None:
    assert list(unknown_variables({name: "x"})) == [name]
    assert nearest(name) == known


def test_settings_and_what_the_command_line_reads_are_known() -> None:
    environment = as_environment(Settings()) | dict.fromkeys(
        ["HEADRACE_REDIS_URL", "HEADRACE_URL", "HEADRACE_API_KEY", "headrace_port"], "x"
    )
    assert list(unknown_variables(environment)) == []


def test_what_others_call_their_variables_is_theirs() -> None:
    assert list(unknown_variables({"PATH": "/bin", "MY_HEADRACE_PORT": "1"})) == []


def test_what_kubernetes_tells_of_a_service_is_no_misspelled_setting() -> None:
    links = {
        "HEADRACE_API_SERVICE_HOST": "10.0.0.7",
        "HEADRACE_API_SERVICE_PORT": "8000",
        "HEADRACE_API_SERVICE_PORT_HTTP": "8000",
        "HEADRACE_API_PORT": "tcp://10.0.0.7:8000",
        "HEADRACE_API_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "HEADRACE_API_PORT_8000_TCP_ADDR": "10.0.0.7",
    }
    assert list(unknown_variables(links)) == []
    assert list(unknown_variables({"HEADRACE_API_PORT": "8000"})) == ["HEADRACE_API_PORT"]
