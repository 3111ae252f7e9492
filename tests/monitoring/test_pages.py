"""From what breaks to the message of it: a real deployment, Prometheus, Alertmanager.

Both the monitor and Prometheus tell Alertmanager.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.monitoring.site import Site
from tests.monitoring.watchers import Watchers, watchers
from tests.waiting import eventually

RAISED_S, CLEARED_S = 60.0, 150.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="module")
def watching(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchers]:
    """Once canaries have been good for as long as the rules look back."""
    folder = tmp_path_factory.mktemp("watchers")
    urls = (site.api.url, site.monitor.url, site.alertmanager_url)
    with watchers(folder, *urls) as found:
        good = 'increase(headrace_canary_total{outcome="good"}[15s]) >= 8'
        eventually(lambda: found.query(good), 60)
        yield found


class Pages:
    """What the receiver of pages hears from now on."""

    def __init__(self, watching: Watchers) -> None:
        self._watching = watching
        self._before = len(watching.receiver.told("/page"))

    def heard(self) -> list[tuple[str, str]]:
        return self._watching.receiver.told("/page")[self._before :]

    def raises(self, alert: str) -> None:
        began = time.monotonic()
        eventually(lambda: (alert, "firing") in self.heard(), RAISED_S + 5)
        assert time.monotonic() - began < RAISED_S

    def stays(self, alert: str, seconds: float = 20.0) -> None:
        """Long enough for what follows from it to be raised, and to be held back."""
        until = time.monotonic() + seconds
        eventually(lambda: time.monotonic() > until, seconds + 5)
        assert {name for name, _status in self.heard()} == {alert}

    def clears(self, alert: str) -> None:
        """And nothing else was heard of meanwhile."""
        eventually(lambda: self.heard()[-1:] == [(alert, "resolved")], CLEARED_S)
        assert {name for name, _status in self.heard()} == {alert}
        eventually(lambda: not self._watching.firing(), CLEARED_S)


@pytest.fixture
def pages(watching: Watchers) -> Pages:
    eventually(lambda: not watching.firing(), CLEARED_S)
    return Pages(watching)


def test_a_healthy_deployment_pages_nobody(watching: Watchers, pages: Pages) -> None:
    eventually(lambda: ("HeadraceWatchdog", "firing") in watching.receiver.told("/watchdog"), 90)
    assert pages.heard() == []


def test_latency_above_the_slo_pages_within_a_minute_and_clears(site: Site, pages: Pages) -> None:
    job_ids = [site.submit("keep it busy", max_tokens=200) for _job in range(12)]
    pages.raises("HeadraceLatencyHigh")
    site.cancel(job_ids)
    pages.clears("HeadraceLatencyHigh")


@pytest.mark.parametrize(
    ("part", "alert"),
    [
        ("api", "HeadraceApiDown"),
        ("worker", "HeadraceNoWorkers"),
        ("redis", "HeadraceRedisDown"),
        ("monitor", "HeadraceMonitorDown"),
    ],
)
def test_what_is_killed_pages_that_and_no_more(
    site: Site, pages: Pages, part: str, alert: str
) -> None:
    site.part(part).kill()
    try:
        pages.raises(alert)
        pages.stays(alert)
    finally:
        site.part(part).start()
    pages.clears(alert)
