"""The monitor's greenlets, each called by hand on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from headrace.core.connection import Client
from headrace.core.desired_fleet import DesiredFleet
from headrace.core.jobs import keys
from headrace.core.readings.overview import active_alerts
from headrace.core.readings.slo_store import SloStore
from headrace.core.settings import Settings
from headrace.monitor.prober import Probed, Prober
from headrace.monitor.probes import Target
from headrace.monitor.sight import Sight
from headrace.monitor.watch import Watch, one_turn
from tests.bench import Bench
from tests.fakes import FakeClock, make_request


class Silent:
    def problem(self) -> str | None:
        raise NotImplementedError


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"slo_latency_s": 0.05})


@pytest.fixture
def sight() -> Sight:
    targets: tuple[Target, ...] = ("redis", "api-live", "api-ready", "workers")
    probers: Mapping[Target, Prober] = {each: Prober(Silent(), FakeClock()) for each in targets}
    for prober in probers.values():
        prober.last = Probed(None)
    return Sight(time.time(), probers)


@pytest.fixture
def watch(redis: Client, settings: Settings, sight: Sight) -> Watch:
    return Watch(redis, settings, sight, [])


def test_what_is_wrong_stands_in_redis_for_whoever_asks(
    watch: Watch, redis: Client, sight: Sight
) -> None:
    sight.probers["api-live"].last = Probed("refused")
    watch.judge()
    watch.publish()
    assert [alert.name for alert in active_alerts(redis)] == ["HeadraceApiDown"]
    assert 0 < redis.ttl(keys.ALERTS) <= 60

    sight.probers["api-live"].last = Probed(None)
    watch.judge()
    watch.publish()
    assert active_alerts(redis) == []


def test_a_new_monitor_takes_back_what_a_dead_one_said(watch: Watch, redis: Client) -> None:
    redis.hset(keys.ALERTS, "HeadraceApiDown", "anything")
    watch.publish()

    assert not redis.exists(keys.ALERTS)


def test_each_minute_is_noted_once(
    watch: Watch, redis: Client, settings: Settings, sight: Sight
) -> None:
    bench = Bench(redis, settings)
    watch.read()
    bench.submit(make_request(max_tokens=2))
    bench.turn(3)
    for _look in range(3):
        watch.read()

    assert sight.course is not None and sight.totals is not None
    assert sight.course.tally(60, sight.totals).total == 1
    rows = sum(redis.hlen(key) for key in redis.scan_iter("headrace:slo:*"))
    assert rows <= 2  # the minute may have ended meanwhile
    assert SloStore(redis).course(time.time()).newest == pytest.approx(sight.course.newest)


def test_no_canary_flies_where_no_worker_is(
    watch: Watch, redis: Client, settings: Settings, sight: Sight
) -> None:
    Bench(redis, settings)
    sight.probers["workers"].last = Probed("no worker is ready")
    watch.read()
    watch.fly()
    assert sight.aviary.last is None

    sight.probers["workers"].last = Probed(None)
    watch.fly()
    assert sight.aviary.last is not None, "now one is late"
    DesiredFleet(redis, settings).muster(0)
    watch.read()
    watch.fly()
    assert sum(sight.aviary.counts.values()) == 1


def test_what_fails_ends_no_greenlet() -> None:
    def fails() -> None:
        raise ValueError("a bug")

    one_turn(fails)
