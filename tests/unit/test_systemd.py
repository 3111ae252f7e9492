"""The unit file of deploy/systemd says what the supervisor needs."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.supervisor import LAST_S
from headrace.core.settings import Settings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "headrace.service"
STAGES = 4
"""API, workers, monitor and Redis end one after the other."""


class Repeated(dict[str, str]):
    """systemd takes a key more than once; their values are joined."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, f"{self[key]} {value}" if key in self else value)


@pytest.fixture
def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_a_stop_reaches_the_supervisor_alone(service: configparser.SectionProxy) -> None:
    assert (service["KillMode"], service["KillSignal"]) == ("mixed", "SIGTERM")


def test_the_service_manager_waits_for_as_long_as_draining_may_take(
    service: configparser.SectionProxy,
) -> None:
    needed_s = Settings().drain_s + STAGES * LAST_S
    assert f"HEADRACE_DRAIN_S={Settings().drain_s:g}" in UNIT.read_text()
    assert float(service["TimeoutStopSec"]) >= needed_s


def test_a_worker_that_the_kernel_kills_for_memory_ends_no_service(
    service: configparser.SectionProxy,
) -> None:
    assert service["OOMPolicy"] == "continue"
    assert service["PrivateTmp"] == "yes"


def test_systemd_reads_the_unit_without_a_complaint(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/headrace/bin/headrace", sys.executable)
    (tmp_path / UNIT.name).write_text(text)
    if (analyze := shutil.which("systemd-analyze")) is None:
        return  # parsed above; only systemd itself knows its keys
    verified = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / UNIT.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert UNIT.name not in verified.stderr, verified.stderr
