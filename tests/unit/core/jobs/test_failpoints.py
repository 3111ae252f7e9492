"""Failpoints: where they kill, and that they are not there unless a test asks for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from unittest.mock import Mock

import pytest

from headrace.core.connection import Client
from headrace.core.errors import SettingsError
from headrace.core.jobs import keys
from headrace.core.jobs.failpoints import (
    ArmedFailpoints,
    Arming,
    Failpoint,
    make_failpoints,
)
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.fakes import make_request


def test_a_hit_does_nothing_where_nothing_is_armed() -> None:
    failpoints = make_failpoints("")
    for place in Failpoint:
        failpoints.hit(place)


def test_only_the_armed_place_kills_and_only_at_its_hit() -> None:
    send = Mock()
    failpoints = ArmedFailpoints({Failpoint.MID_STEP: Arming(2)}, send)
    failpoints.hit(Failpoint.AFTER_CLAIM)
    failpoints.hit(Failpoint.MID_STEP)
    send.assert_not_called()
    failpoints.hit(Failpoint.MID_STEP)
    send.assert_called_once_with(signal.SIGKILL)


def test_an_armed_failpoint_ends_the_process_as_kill_9_would() -> None:
    code = (
        "from headrace.core.jobs.failpoints import Failpoint, make_failpoints\n"
        "failpoints = make_failpoints('mid-step=kill@9, after-claim=kill')\n"
        "failpoints.hit(Failpoint.AFTER_CLAIM)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


def test_one_that_stops_the_process_lets_it_go_on() -> None:
    code = (
        "from headrace.core.jobs.failpoints import Failpoint, make_failpoints\n"
        "make_failpoints('before-order=stop').hit(Failpoint.BEFORE_ORDER)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        _pid, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
    assert process.returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "mid-step",
        "mid-step=sleep",
        "mid-step=kill@0",
        "before-lunch=kill",
        "mid-step=kill,",
        "=",
        ",",
    ],
)
def test_a_bad_text_names_the_variable(text: str) -> None:
    with pytest.raises(SettingsError, match="HEADRACE_FAILPOINTS"):
        make_failpoints(text)


def test_a_worker_hits_each_place_once_for_a_job_of_one_token(
    redis: Client, settings: Settings
) -> None:
    bench = Bench(redis, settings)
    hits: list[Failpoint] = []
    bench.worker._failpoints = Mock(hit=hits.append)
    redis.lpush(keys.DOORBELL, "1")  # else a turn without jobs waits for one
    bench.turn(1)
    bench.submit(make_request(max_tokens=1))
    bench.turn(1)

    assert hits == [
        Failpoint.AFTER_CLAIM,
        Failpoint.MID_STEP,
        Failpoint.BEFORE_FINISH,
        Failpoint.AFTER_FINISH,
    ]


def test_a_worker_refuses_to_start_with_a_bad_text(redis: Client, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="HEADRACE_FAILPOINTS"):
        Bench(redis, settings.model_copy(update={"failpoints": "lunch"}))
