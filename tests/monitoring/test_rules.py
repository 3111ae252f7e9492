"""Which alerts fire, of what, and of what not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.monitoring.rules import PROMETHEUS, alerts, require_firing
from tests.monitoring.series import Fleet

PROBE = 'headrace_probe_up{{target="{}"}}'
REDIS, WORKERS = PROBE.format("redis"), PROBE.format("workers")
LIVE, READY = PROBE.format("api-live"), PROBE.format("api-ready")
UP_MONITOR, UP_API = 'up{job="headrace-monitor"}', 'up{job="headrace-api"}'
GOOD, LATE = (f'headrace_canary_total{{outcome="{outcome}"}}' for outcome in ("good", "late"))
FAILED = 'headrace_jobs_total{reason="engine_error",state="failed"}'
OLDEST, READY_WORKERS = "headrace_oldest_job_age_seconds", 'headrace_workers{state="ready"}'
SLO, SLO_GOOD = "headrace_slo_total", "headrace_slo_good_total"
DEAD, TTFT = "headrace_jobs_dead_total", "headrace_canary_ttft_seconds"
UNKNOWN = "headrace_scaler_unknown_readings_total"
HOLD = 'headrace_scaler_decisions_total{direction="hold"}'
LOOKED = "headrace_probe_last_timestamp_seconds"

STEPS = "headrace_step_seconds_count"


def stuck(fleet: Fleet) -> Fleet:
    """Jobs wait, and none has ended since the tenth minute."""
    return fleet.grow(OLDEST, 1, 10).grow(SLO, 0, 10).grow(SLO_GOOD, 0, 10)


FIRES: dict[str, tuple[set[str], Callable[[], Fleet]]] = {
    "nothing is scraped at all": (
        {"HeadraceMonitorDown", "HeadraceApiDown"},
        lambda: Fleet(2).lose(""),
    ),
    "the monitor cannot be scraped": (
        {"HeadraceMonitorDown"},
        lambda: Fleet(12).lose("headrace_", 10).set(UP_MONITOR, 0, 10),
    ),
    "the monitor's job is gone": (
        {"HeadraceMonitorDown"},
        lambda: Fleet(12).lose("headrace_", 10).set(UP_MONITOR, None, 5),
    ),
    "the monitor answers, but looks no more": (
        {"HeadraceMonitorDown"},
        lambda: Fleet(12).set(LOOKED, 600, 10),
    ),
    "the API does not answer the probe": (
        {"HeadraceApiDown"},
        lambda: Fleet(11).set(LIVE, 0, 10).set(READY, 0, 10),
    ),
    "the API cannot be scraped, and nobody probes it": (
        {"HeadraceApiDown", "HeadraceMonitorDown"},
        lambda: Fleet(16).lose("headrace_", 10).set(UP_MONITOR, 0, 10).set(UP_API, 0, 10),
    ),
    "the API is not ready": (
        {"HeadraceApiNotReady"},
        lambda: Fleet(11).set(READY, 0, 10),
    ),
    "Redis is away": (
        {"HeadraceRedisDown"},
        lambda: Fleet(11).set(REDIS, 0, 10),
    ),
    "no worker is ready": (
        {"HeadraceNoWorkers"},
        lambda: Fleet(11).set(WORKERS, 0, 10).set(READY_WORKERS, 0, 10),
    ),
    "canaries are late": (
        {"HeadraceLatencyHigh"},
        lambda: Fleet(11).grow(GOOD, 0, 10).grow(LATE, 0.2, 10),
    ),
    "a tenth of the jobs fails, by an error that was never seen before": (
        {"HeadraceErrorRateHigh"},
        lambda: Fleet(55).grow(FAILED, 0.2, 50).bad(0.1, 50),
    ),
    "the queue is stuck": (
        {"HeadraceQueueStuck"},
        lambda: stuck(Fleet(13)).grow(STEPS, 0, 10),
    ),
    "one job became a dead letter": (
        {"HeadraceDeadLetters"},
        lambda: Fleet(15).set(DEAD, 1, 10),
    ),
    "most of the scaler's ticks know nothing": (
        {"HeadraceScalerUnknown"},
        lambda: Fleet(15).grow(UNKNOWN, 0.4, 10).grow(HOLD, 0.1, 10),
    ),
    "first tokens take twice as long as they used to": (
        {"HeadraceDegraded"},
        lambda: Fleet(66).set(TTFT, 0.5, 60),
    ),
    "half of the jobs are bad for a quarter of an hour": (
        {"HeadraceSloBurnPage", "HeadraceSloBurnTicket"},
        lambda: Fleet(40).bad(0.5, 25),
    ),
    "8 % of the jobs are bad for most of an hour": (
        {"HeadraceSloBurnPage", "HeadraceSloBurnTicket"},
        lambda: Fleet(40).bad(0.08),
    ),
    "4 % of the jobs are bad for hours": (
        {"HeadraceSloBurnTicket"},
        lambda: Fleet(180, step_s=60).bad(0.04),
    ),
    "1.5 % of the jobs are bad for most of a day": (
        {"HeadraceSloBurnTicket"},
        lambda: Fleet(420, step_s=60).bad(0.015),
    ),
}

FIRES_NOT: dict[str, Callable[[], Fleet]] = {
    "a scrape of the API fails that the monitor reaches": lambda: Fleet(12).set(UP_API, 0, 10),
    "one scrape of the monitor fails": lambda: Fleet(12).set(UP_MONITOR, 0, 12),
    "one probe of the API fails": lambda: Fleet(12).set(LIVE, 0, 12).set(READY, 0, 12),
    "no worker is wanted and none is there": lambda: Fleet(12).set(READY_WORKERS, 0, 10),
    "one canary is late": lambda: Fleet(10.5).set(LATE, 1, 10),
    "of few jobs all fail": lambda: Fleet(14).grow(SLO, 0.02).grow(SLO_GOOD, 0).grow(FAILED, 0.02),
    "one job in fifty fails": lambda: Fleet(15).grow(FAILED, 0.04, 10),
    "jobs wait for long, and end": lambda: Fleet(15).grow(OLDEST, 1, 10),
    "jobs wait for answers that are long": lambda: stuck(Fleet(15)),
    "jobs wait for long, and nobody is there": lambda: (
        stuck(Fleet(15)).grow(STEPS, 0, 10).set(READY_WORKERS, 0, 10)
    ),
    "a dead letter of long ago": lambda: Fleet(15).set(DEAD, 1),
    "some of the scaler's ticks know nothing": lambda: Fleet(15).grow(UNKNOWN, 0.1, 10),
    "no scaler ever ran": lambda: Fleet(15).lose("scaler"),
    "first tokens were always slow": lambda: Fleet(66).set(TTFT, 0.5),
    "nobody knows yet what is usual": lambda: Fleet(20).set(TTFT, 0.9, 10),
    "first tokens take three times nothing": lambda: Fleet(66).set(TTFT, 0.02).set(TTFT, 0.06, 60),
    "of few jobs all are bad": lambda: Fleet(15).grow(SLO, 0.02).grow(SLO_GOOD, 0),
    "half of the jobs were bad for a minute": lambda: Fleet(60).bad(0.5, 30).bad(0, 31),
    "1 of 200 jobs is bad": lambda: Fleet(420, step_s=60).bad(0.005),
    "no job ever ended": lambda: Fleet(30).grow(SLO, 0).grow(SLO_GOOD, 0).lose("jobs_total"),
}


@pytest.mark.parametrize("what", FIRES)
def test_an_alert_fires(what: str, tmp_path: Path) -> None:
    names, make = FIRES[what]
    fleet = make()
    require_firing(tmp_path, fleet, (fleet.end_s / 60, names))


@pytest.mark.parametrize("what", FIRES_NOT)
def test_no_alert_fires(what: str, tmp_path: Path) -> None:
    fleet = FIRES_NOT[what]()
    require_firing(tmp_path, fleet, (fleet.end_s / 60, []))


def test_every_alert_is_seen_firing() -> None:
    seen = {name for names, _fleet in FIRES.values() for name in names}
    assert seen == alerts().keys() - {"HeadraceWatchdog"}


def test_a_quiet_hour_raises_nothing(tmp_path: Path) -> None:
    fleet = Fleet(60)
    require_firing(tmp_path, fleet, *((minute / 6, []) for minute in range(361)))


def test_a_page_of_latency_is_raised_and_cleared_within_a_minute(tmp_path: Path) -> None:
    fleet = Fleet(15).grow(GOOD, 0, 10).grow(LATE, 0.4, 10)
    fleet.grow(LATE, 0, 13).grow(GOOD, 0.2, 13)
    require_firing(tmp_path, fleet, (10, []), (11, ["HeadraceLatencyHigh"]), (13.9, []))


def test_redis_is_said_to_be_away_until_what_follows_from_it_has_cleared(tmp_path: Path) -> None:
    fleet = Fleet(15).set(REDIS, 0, 10).set(REDIS, 1, 12).set(WORKERS, 0, 10).set(WORKERS, 1, 12.3)
    require_firing(
        tmp_path,
        fleet,
        (11, ["HeadraceNoWorkers", "HeadraceRedisDown"]),
        (12.5, ["HeadraceNoWorkers", "HeadraceRedisDown"]),
        (13.5, []),
    )


def test_in_the_demo_latency_pages_within_20_seconds(tmp_path: Path) -> None:
    fleet = Fleet(5, step_s=1).grow(GOOD, 0, 4).grow(LATE, 0.5, 4)
    fleet.grow(LATE, 0, 4.5).grow(GOOD, 1, 4.5)
    moments = ((4.0, []), (4 + 20 / 60, ["HeadraceLatencyHigh"]), (5.0, []))
    require_firing(tmp_path, fleet, *moments, rules="rules-demo")


def test_in_the_demo_the_budget_burns_within_half_a_minute(tmp_path: Path) -> None:
    fleet = Fleet(5, step_s=1).grow(SLO, 4).grow(SLO_GOOD, 4).grow(SLO_GOOD, 0, 4)
    moments = ((4.0, []), (4.5, ["HeadraceSloBurnPage", "HeadraceSloBurnTicket"]))
    require_firing(tmp_path, fleet, *moments, rules="rules-demo")


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-demo.yml"])
def test_prometheus_takes_the_configuration(name: str) -> None:
    subprocess.run(["promtool", "check", "config", str(PROMETHEUS / name)], check=True)
