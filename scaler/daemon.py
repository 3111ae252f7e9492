"""The daemon: reads, lets the policy decide, and has the fleet be so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from threading import Event

import structlog
from redis.exceptions import RedisError

from headrace.core.clock import Clock
from headrace.core.decision_log import Record
from headrace.core.desired_fleet import Desired, DesiredFleet, Mode
from headrace.core.errors import Unavailable
from headrace.core.jobs.failpoints import Failpoint, make_failpoints
from headrace.core.jobs.sweeper import BEAT_S
from headrace.core.leadership import Leadership
from headrace.core.redis_errors import words_of
from headrace.core.settings import Settings
from scaler.decision import Decision
from scaler.fleet import Fleet
from scaler.mind import Mind
from scaler.reader import Reader
from scaler.readings import Reading, Readings

NOTED_EVERY_S = 60.0
"""So often a decision is noted that is no news."""

TOLD = ("waiting", "running", "oldest_wait_s", "p95_s")
"""What a log line says of a reading; the decision log holds all of it."""

log = structlog.get_logger()


class Daemon:
    """One of several may act: the one that leads. The others wait for its lease to end.

    Each new leader begins with a mind of its own (`make_mind` of the present size), which concludes
    nothing of what it has not seen; so does one whom a person hands the fleet back. Nothing that
    fails ends the daemon.
    """

    def __init__(
        self,
        reader: Reader,
        leadership: Leadership,
        desired: DesiredFleet,
        fleet: Fleet,
        make_mind: Callable[[int | None], Mind],
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._leadership = leadership
        self._desired = desired
        self._fleet = fleet
        self._make_mind = make_mind
        self._mind = make_mind(None)
        self._settings = settings
        self._clock = clock
        self._failpoints = make_failpoints(settings.failpoints)
        self._fence = 0
        self._mode: Mode = "auto"
        self._redis_ahead_s = time.time() - clock.now()
        self._noted: Record | None = None
        self._noted_at = 0.0

    def run(self, stopped: Event, beat: Callable[[], None]) -> None:
        """Until it is `stopped`: a decision every tick, a `beat` every second."""
        next_tick = self._clock.now()
        while not stopped.is_set():
            self._survive(beat)
            if self._clock.now() >= next_tick:
                self._survive(self.tick)
                next_tick = self._clock.now() + self._settings.scaler_tick_s
            stopped.wait(max(0.0, min(BEAT_S, next_tick - self._clock.now())))
        self._survive(self._leadership.resign)

    def tick(self) -> Record | None:
        """One decision, and the fleet told; None where another scaler leads.

        Raises `redis.exceptions.RedisError` when the server is away: all stays as it is.
        """
        reading = self._reader.read()
        desired = self._desired.read()
        self._failpoints.hit(Failpoint.AFTER_READING)
        if not self._leads(desired):
            return None
        self._failpoints.hit(Failpoint.AFTER_LEASE)
        decision = self._mind.decide(reading, self._redis_now(reading))
        size = self._size(decision, desired)
        record = self._record(reading, decision, desired, size)
        return record if self._is_obeyed(record) else None

    def _is_obeyed(self, record: Record) -> bool:
        """Tells the fleet, and what is news to people as well."""
        news, size = record if self._is_news(record) else None, record.size
        self._failpoints.hit(Failpoint.BEFORE_ORDER)
        obeyed = self._fleet.hold(news) if size is None else self._fleet.set_size(size, news)
        self._failpoints.hit(Failpoint.AFTER_ORDER)
        if not obeyed:
            log.warning("refused: another scaler leads by now", fence=record.fence)
        elif news:
            self._tell(news)
        return obeyed

    def _leads(self, desired: Desired) -> bool:
        fence = self._leadership.take()
        if fence != self._fence:
            log.info("this scaler leads" if fence else "another scaler leads", fence=fence)
        if (fence, desired.mode) != (self._fence, self._mode):
            self._mind, self._noted = self._make_mind(desired.size), None
        self._fence, self._mode = fence, desired.mode
        return bool(fence)

    def _size(self, decision: Decision, desired: Desired) -> int | None:
        """What people want goes before the policy; None: as it is."""
        if desired.mode != "auto":
            return desired.size if desired.is_paused else desired.fixed
        if decision.holds:
            return None
        most = self._settings.scaler_max or self._settings.workers
        return max(self._settings.scaler_min, min(decision.size, most))

    def _record(
        self, reading: Reading, decision: Decision, desired: Desired, size: int | None
    ) -> Record:
        flags = [each.name for each in fields(decision) if getattr(decision, each.name) is True]
        return Record(
            at=self._redis_now(reading),
            wanted=None if decision.holds else decision.size,
            size=size,
            reason=decision.reason,
            mode=desired.mode,
            flags=tuple(flags),
            reading=asdict(reading),
            fence=self._fence,
        )

    def _is_news(self, record: Record) -> bool:
        return self._is_change(record) or record.at - self._noted_at >= NOTED_EVERY_S

    def _is_change(self, record: Record) -> bool:
        return self._noted is None or _gist(record) != _gist(self._noted)

    def _tell(self, record: Record) -> None:
        tell = log.info if self._is_change(record) else log.debug
        if "crash_loop" in record.flags:
            tell = log.error
        tell(
            "scaler decided",
            wanted=record.wanted,
            size=record.size,
            reason=record.reason,
            mode=record.mode,
            flags=record.flags,
            **{name: record.reading[name] for name in TOLD if name in record.reading},
        )
        self._noted, self._noted_at = record, record.at

    def _redis_now(self, reading: Reading) -> float:
        """Redis TIME by this process's clock, as the last reading set it."""
        if isinstance(reading, Readings):
            self._redis_ahead_s = reading.at - self._clock.now()
        return self._clock.now() + self._redis_ahead_s

    def _survive(self, act: Callable[[], object]) -> None:
        try:
            act()
        except RedisError as error:
            log.warning("nothing changes: Redis call refused", error=words_of(error))
        except Unavailable as error:
            log.warning("nothing changes", error=str(error))
        except Exception:
            log.exception("nothing changes: the scaler failed")


def _gist(record: Record) -> Record:
    """All but what differs at every tick."""
    return replace(record, at=0.0, reason="", reading={})
