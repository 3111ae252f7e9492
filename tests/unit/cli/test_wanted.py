"""What a supervisor believes to be wanted."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from headrace.cli.wanted import LOOK_EVERY_S, FixedNumber, ScaledNumber
from headrace.core.connection import Client, connect
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.settings import Settings
from tests.unit.cli.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def wanted(redis: Client, settings: Settings, clock: FakeClock) -> ScaledNumber:
    return ScaledNumber(DesiredFleet(redis, settings), 2, clock)


def test_without_a_scaler_the_number_stands() -> None:
    wanted = FixedNumber(3)
    wanted.begin()
    assert wanted.size() == 3
    assert not wanted.dismiss("worker-3-a")


def test_the_first_number_is_told_and_later_ones_are_followed(
    wanted: ScaledNumber, redis: Client, clock: FakeClock
) -> None:
    wanted.begin()
    assert wanted.size() == 2
    assert redis.hget(keys.FLEET, "size") == b"2"

    redis.hset(keys.FLEET, "size", 5)
    clock.sleep(LOOK_EVERY_S)
    assert wanted.size() == 5


def test_a_server_that_lost_its_data_or_holds_nonsense_changes_nothing(
    wanted: ScaledNumber, redis: Client, clock: FakeClock
) -> None:
    wanted.begin()
    redis.flushall()
    clock.sleep(LOOK_EVERY_S)
    assert wanted.size() == 2

    redis.hset(keys.FLEET, "size", "many")
    clock.sleep(LOOK_EVERY_S)
    with capture_logs() as logs:
        assert wanted.size() == 2
    assert "stays as it is" in logs[0]["event"]


def test_a_server_that_is_away_changes_nothing_and_lets_nobody_go(
    settings: Settings, clock: FakeClock
) -> None:
    away = DesiredFleet(connect("redis://127.0.0.1:1", 0.1), settings)
    wanted = ScaledNumber(away, 2, clock)

    assert wanted.size() == 2
    assert not wanted.dismiss("worker-2-a")


def test_asking_whom_to_let_go_puts_no_new_number_off(
    wanted: ScaledNumber, redis: Client, clock: FakeClock
) -> None:
    wanted.begin()
    assert wanted.size() == 2
    redis.hset(keys.FLEET, "size", 5)
    for _tick in range(4):
        clock.sleep(LOOK_EVERY_S / 3)
        assert not wanted.dismiss("worker-2-a")

    assert wanted.size() == 5


def test_a_server_that_refuses_writes_at_the_start_hears_the_first_number_later(
    wanted: ScaledNumber, redis: Client, clock: FakeClock
) -> None:
    redis.hset(keys.FLEET, "size", 9)  # of an earlier deployment
    redis.replicaof("127.0.0.1", 1)
    try:
        wanted.begin()
        assert wanted.size() == 2
    finally:
        redis.replicaof("NO", "ONE")
    clock.sleep(2 * LOOK_EVERY_S)

    assert wanted.size() == 2
    assert redis.hget(keys.FLEET, "size") == b"2"
