"""`headrace top` on a real server."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from redis.exceptions import ConnectionError
from rich.console import Console, RenderableType

from headrace.cli.fleet_source import RedisSource
from headrace.cli.main import cli
from headrace.cli.top_screen import Screen
from headrace.cli.top_view import NO_LEADER, as_record, view
from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.events import Completion
from headrace.core.jobs.job import Report, Timings
from headrace.core.leadership import Leadership
from headrace.core.readings.overview import MOST_RECENT, RECENT_S, Overview, Reader, recent_of
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats, JobState
from tests.bench import Bench
from tests.fakes import make_request
from tests.waiting import eventually

NOW = 1_764_000_000.0


def completion(
    ago_s: float, state: JobState = JobState.SUCCEEDED, e2e_s: float = 1.0
) -> Completion:
    ended = NOW - ago_s
    stamps = Timings(ended - e2e_s, ended - e2e_s, ended - e2e_s / 2, ended, ended)
    return Completion("job", state, "", stamps, Report(output_tokens=4))


def shown(what: RenderableType, columns: int = 100) -> str:
    console = Console(width=columns, highlight=False)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


@pytest.fixture
def reading(redis: Client, settings: Settings) -> Overview:
    return Reader(redis, settings).read()


def test_only_the_last_minute_counts() -> None:
    recent = recent_of([completion(RECENT_S + 1), completion(5), completion(1)], NOW)
    assert (recent.seconds, recent.succeeded, recent.output_tokens) == (RECENT_S, 2, 8)


def test_latencies_are_those_of_jobs_that_succeeded() -> None:
    ends = [completion(9, e2e_s=3.0), completion(8, e2e_s=2.0), completion(7, JobState.FAILED, 99)]
    recent = recent_of(ends, NOW)
    assert recent.e2e_s == pytest.approx([2.0, 3.0])
    assert recent.ttft_s == pytest.approx([1.0, 1.5])
    assert recent.failed == 1


def test_where_too_many_ended_the_rate_is_of_a_shorter_time() -> None:
    assert recent_of([completion(6.0)] * MOST_RECENT, NOW).seconds == pytest.approx(6.0)


def test_an_idle_deployment_without_workers_says_so(reading: Overview, settings: Settings) -> None:
    text = shown(view(reading))
    assert "0 wait" in text
    assert "no workers" in text
    assert NO_LEADER in text


def test_what_waits_and_who_works_is_shown(redis: Client, settings: Settings) -> None:
    Bench(redis, settings).submit(make_request(), make_request("job-2"))
    roster = Roster(redis, ttl_s=60)
    stats = EngineStats(running=3, slots=8, steps=10, rows=25, output_tokens=100, busy_s=2.0)
    roster.beat(WorkerState("worker-1-a", "draining", 1, "fake", stats, age_s=200.0))
    roster.announce("worker-2-b", age_s=4.0)

    lines = shown(view(Reader(redis, settings).read())).splitlines()

    assert any(line.startswith("queue") and "2 wait, 18 tokens" in line for line in lines)
    assert any(
        line.split()[:6] == ["worker-1-a", "draining", "3", "min", "3/8", "2.5"] for line in lines
    )
    assert any(line.split()[:4] == ["worker-2-b", "starting", "4", "s"] for line in lines)


def test_jobs_set_aside_are_shown_beside_what_waits(redis: Client, settings: Settings) -> None:
    bench = Bench(redis, settings)
    bench.submit(make_request(card_hash="0123", model="old"))
    bench.turn(1)

    reading = Reader(redis, settings).read()
    text = shown(view(reading))
    assert "0 wait" in text
    assert "1 set aside for old" in text
    assert as_record(reading)["set_aside"] == {"old": 1}


def test_the_scaler_says_how_many_it_wants_and_why(redis: Client, settings: Settings) -> None:
    DesiredFleet(redis, settings).muster(1)
    leadership = Leadership(redis, settings, "scaler-1", lease_s=60)
    leadership.take()
    leadership.order(3, [], Record(NOW, 3, 3, "two wait too long", flags=("crash_loop",)))

    text = shown(view(Reader(redis, settings).read()))

    assert "0 ready of 3 wanted (auto); scaler-1" in text
    assert "two wait too long [crash_loop]" in text


def test_a_first_token_later_than_the_slo_stands_out(reading: Overview, settings: Settings) -> None:
    ends = [completion(5, e2e_s=0.2)] * 90 + [completion(1, e2e_s=2.4)] * 10
    reading = replace(reading, recent=recent_of(ends, NOW))
    console = Console(width=100, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(view(reading))
    line = next(line for line in capture.get().splitlines() if "first token" in line)
    assert line.count("\x1b[1;31m1.20") == 2  # p95 and p99
    assert "0.10" in line


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(
    reading: Overview, settings: Settings, columns: int
) -> None:
    assert all(len(line) <= columns for line in shown(view(reading), columns).splitlines())


def test_a_redis_that_goes_away_is_said_above_what_stood_before(
    redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(RedisSource(redis, settings))
    screen.show()

    def away(_reader: Reader) -> Overview:
        raise ConnectionError("refused")

    monkeypatch.setattr(Reader, "read", away)
    text = shown(screen.show())

    assert "Redis does not answer: refused" in text
    assert "0 wait" in text
    with pytest.raises(ConnectionError):
        Screen(RedisSource(redis, settings)).show()


def top(redis_url: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["top", *arguments], env={"REDIS_URL": redis_url})


def test_behind_a_pipe_one_screen_is_printed(redis_url: str, redis: Client) -> None:
    result = top(redis_url)
    assert result.exit_code == 0
    assert "0 wait" in result.output
    assert "\x1b" not in result.output


def test_as_json_it_is_all_that_the_screen_shows(redis_url: str, redis: Client) -> None:
    found = json.loads(top(redis_url, "--json").output)
    assert (found["waiting"], found["running"], found["workers"]) == (0, 0, [])
    assert found["recent"]["e2e_s"] == {"p50": None, "p95": None, "p99": None}
    assert found["scaler"] == {
        "leader": None,
        "mode": "auto",
        "desired": None,
        "last_decision": None,
    }


def test_without_a_deployment_it_says_what_to_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["top", "--once", "--state-dir", str(tmp_path)])
    assert "start `headrace up`" in str(result.exception)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_on_a_terminal_it_goes_on_until_ctrl_c(redis_url: str, redis: Client) -> None:
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-m", "headrace", "top", "--interval", "0.1"]
        os.execve(sys.executable, command, os.environ | {"REDIS_URL": redis_url, "TERM": "xterm"})
    written = bytearray()

    def has_drawn(times: int) -> bool:
        written.extend(os.read(terminal, 65536))
        return written.count(b"wait") >= times

    eventually(lambda: has_drawn(3), 20)
    os.kill(child, signal.SIGINT)
    _pid, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"Traceback" not in written
