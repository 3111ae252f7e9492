"""The monitor's eyes: each looks by itself, so that none waits for what another looks at."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import gevent
import structlog
from redis.exceptions import RedisError

from headrace.core.card_store import CardStore
from headrace.core.clock import SystemClock
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.readings.fleet import Fleet
from headrace.core.readings.slo_course import totals_of
from headrace.core.readings.slo_store import SloStore
from headrace.core.settings import Settings
from headrace.monitor.alerts import Alerts
from headrace.monitor.canary import Canary
from headrace.monitor.delivery import Delivery
from headrace.monitor.problems import problems
from headrace.monitor.sight import Sight
from headrace.monitor.sinks import log_change

TICK_S = 0.25
MINUTE_S = 60.0
PUBLISH_S, FORGET_S = 15.0, 60
HURRY_S = 1.0
"""Between canaries while something is wrong."""

log = structlog.get_logger()


class Watch:
    """`start` spawns the greenlets; they end with the process."""

    def __init__(
        self,
        redis: Client,
        settings: Settings,
        sight: Sight,
        deliveries: Sequence[Delivery],
    ) -> None:
        self._settings = settings
        self._sight = sight
        self._deliveries = deliveries
        self._redis = redis
        self._fleet = Fleet(redis, settings)
        self._store = SloStore(redis)
        queue = JobQueue(redis, settings)
        self._canary = Canary(queue, CardStore(redis), settings, SystemClock())
        self._alerts = Alerts({})

    def start(self) -> None:
        for prober in self._sight.probers.values():
            gevent.spawn(for_ever, prober.turn, self._settings.probe_s)
        gevent.spawn(for_ever, self.read, self._settings.probe_s)
        gevent.spawn(for_ever, self.judge, TICK_S)
        gevent.spawn(for_ever, self.publish, PUBLISH_S)
        if self._settings.canary_s > 0:
            gevent.spawn(self._fly_for_ever)
        for delivery in self._deliveries:
            gevent.spawn(for_ever, delivery.turn, TICK_S)

    def read(self) -> None:
        """Looks at the fleet, and once a minute notes what was counted. Raises `RedisError`."""
        now, sight = time.time(), self._sight
        reading = self._fleet.read()
        sight.see(reading, totals_of(reading.counts, now))
        sight.course = sight.course or self._store.course(now)
        newest = sight.course.newest
        if newest is None or now // MINUTE_S > newest // MINUTE_S:
            canary_s = sight.aviary.median_s(now, MINUTE_S, least=1)
            sample = totals_of(reading.counts, now, canary_s)
            self._store.note(sample)
            sight.course.add(sample)

    def judge(self) -> None:
        """Raises and clears alerts, and has them told."""
        now = time.time()
        self._alerts, changed = self._alerts.after(problems(self._sight, self._settings, now), now)
        self._sight.active, self._sight.judged_at = self._alerts.active, now
        for alert in changed:
            log_change(alert)
        active = list(self._alerts.active.values())
        for delivery in self._deliveries:
            delivery.hand_in(changed, active)
        if changed:
            gevent.spawn(one_turn, self.publish)

    def fly(self) -> None:
        """One canary, where a worker is; that none is, is another alert. Raises `RedisError`."""
        if not self._sight.has_workers:
            return
        flight = self._canary.fly()
        if flight is not None:
            self._sight.aviary.note(flight, time.time())

    def _fly_for_ever(self) -> None:
        while True:
            one_turn(self.fly)
            period_s = self._settings.canary_s
            gevent.sleep(period_s if self._sight.aviary.is_calm else min(HURRY_S, period_s))

    def publish(self) -> None:
        """For `headrace slo` and `headrace top`: what a dead monitor said is soon forgotten."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(keys.ALERTS)
            for alert in self._alerts.active.values():
                pipeline.hset(keys.ALERTS, alert.name, alert.encode())
            pipeline.expire(keys.ALERTS, FORGET_S)
            pipeline.execute()


def for_ever(work: Callable[[], None], period_s: float) -> None:
    while True:
        began = time.monotonic()
        one_turn(work)
        gevent.sleep(max(0.0, period_s - (time.monotonic() - began)))


def one_turn(work: Callable[[], None]) -> None:
    """What fails is tried again in the next turn; that Redis is away a probe says."""
    try:
        work()
    except RedisError as error:
        log.debug("Redis does not answer", error=str(error))
    except Exception:
        log.exception("the monitor cannot look", at=work.__name__)
