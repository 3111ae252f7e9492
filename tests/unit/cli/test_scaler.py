"""`headrace scaler` on a real server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
import structlog
from click.testing import CliRunner, Result

from headrace.cli.main import cli
from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.errors import SettingsError, Unavailable
from headrace.core.jobs import keys
from headrace.core.leadership import Leadership
from headrace.core.roster import Roster, WorkerState
from headrace.core.settings import Settings
from headrace.core.types import EngineStats
from tests.bench import Bench

RECORD = Record(1764000000.0, 3, 3, "two wait too long", flags=("is_limited",), reading={"at": 1})


class ScalerCommand:
    def __init__(self, redis_url: str, redis: Client, settings: Settings) -> None:
        self._environment = {"REDIS_URL": redis_url}
        self.fleet = DesiredFleet(redis, settings)
        self.leadership = Leadership(redis, settings, "scaler-1", lease_s=60)

    def __call__(self, *arguments: str, **environment: str) -> Result:
        environment = self._environment | environment
        return CliRunner().invoke(cli, ["scaler", *arguments], env=environment)


@pytest.fixture(autouse=True)
def _logs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command sets up for its own process would outlive the test in this one."""

    def to_stderr(*_: object) -> None:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))

    monkeypatch.setattr("headrace.core.telemetry.configure_logging", to_stderr)
    yield
    structlog.reset_defaults()


@pytest.fixture
def scaler(redis_url: str, redis: Client, settings: Settings) -> ScalerCommand:
    return ScalerCommand(redis_url, redis, settings)


def test_a_person_takes_the_fleet_and_hands_it_back(scaler: ScalerCommand) -> None:
    scaler.leadership.take()
    scaler.fleet.muster(2)

    assert scaler("pause").output == "paused: the number of workers stays 2\n"
    assert scaler("resume").output == "the policy decides\n"
    assert scaler("fix", "3").output == "the number of workers is fixed: 3\n"
    assert scaler.fleet.read().fixed == 3
    assert scaler("auto").output == "the policy decides\n"


def test_it_is_said_where_nobody_is_there_to_follow(scaler: ScalerCommand) -> None:
    assert "no scaler leads" in scaler("fix", "3").stderr


@pytest.mark.parametrize("number", ["-1", "65", "many"])
def test_a_number_that_cannot_be_is_refused(scaler: ScalerCommand, number: str) -> None:
    assert scaler("fix", "--", number).exit_code == 2


def test_the_status_says_who_leads_what_is_wanted_and_what_there_is(
    scaler: ScalerCommand, redis: Client
) -> None:
    scaler.fleet.muster(2)
    scaler.leadership.take()
    scaler.leadership.order(3, [], RECORD)
    roster = Roster(redis, ttl_s=60)
    roster.beat(WorkerState("worker-1-a", "ready", 1, "fake", EngineStats()))
    roster.announce("worker-2-b", age_s=0.0)

    known = json.loads(scaler("status", "--json").output)
    assert (known["leader"], known["mode"], known["desired"]) == ("scaler-1", "auto", 3)
    assert (known["starting"], known["ready"], known["draining"]) == (1, 1, 0)
    assert known["last_decision"]["reason"] == "two wait too long"
    shown = scaler("status").output
    assert "scaler-1" in shown
    assert "two wait too long" in shown


def test_the_status_of_a_deployment_without_a_scaler(scaler: ScalerCommand) -> None:
    known = json.loads(scaler("status", "--json").output)
    assert "no scaler leads" in known["leader"]
    assert (known["desired"], known["last_decision"]) == (None, None)


def test_the_log_says_why(scaler: ScalerCommand) -> None:
    scaler.leadership.take()
    scaler.leadership.order(3, [], RECORD)
    scaler.leadership.order(None, [], Record(1764000002.0, None, None, "held: no answer"))

    lines = scaler("log").output.splitlines()
    assert "two wait too long [is_limited]" in lines[1]
    assert "as they are" in lines[2]
    assert len(scaler("log", "--limit", "1").output.splitlines()) == 2
    assert json.loads(scaler("log", "--json").output.splitlines()[0])["reading"] == {"at": 1}


def test_a_log_without_a_decision(scaler: ScalerCommand) -> None:
    assert scaler("log").output == "no decisions yet\n"


def test_a_dry_run_shows_what_it_would_do_and_does_nothing(
    scaler: ScalerCommand, redis: Client, settings: Settings
) -> None:
    Bench(redis, settings)
    scaler.fleet.muster(2)
    shown = scaler("--dry-run", "--once", "--scaler-max", "4")

    assert json.loads(shown.stdout)["reading"]
    assert not redis.exists(keys.SCALER, keys.DECISIONS)
    assert scaler.fleet.read().size == 2


def test_a_scaler_wants_to_know_how_far_it_may_go(scaler: ScalerCommand) -> None:
    error = scaler("--dry-run", "--once").exception
    assert isinstance(error, SettingsError)
    assert "HEADRACE_SCALER_MAX" in str(error)


def test_once_is_for_dry_runs(scaler: ScalerCommand) -> None:
    assert scaler("--once", "--scaler-max", "4").exit_code == 2


def test_a_redis_that_is_away_is_said(scaler: ScalerCommand) -> None:
    for command in (["status"], ["fix", "1"], ["--dry-run", "--scaler-max", "2"]):
        assert isinstance(scaler(*command, REDIS_URL="redis://127.0.0.1:1").exception, Unavailable)
