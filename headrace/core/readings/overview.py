"""The whole deployment, read at one moment: queue, latencies, workers, scaler and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.decision_log import Record, decisions
from headrace.core.events import Completion
from headrace.core.jobs import keys
from headrace.core.jobs.pace import Pace, PaceMeter
from headrace.core.leadership import Leader, has_leader
from headrace.core.readings.alert import Alert
from headrace.core.readings.fleet import Fleet, FleetReading
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import JobState

RECENT_S = 60.0
MOST_RECENT = 5000
"""As far back, and as many, as ended jobs are looked at."""


@dataclass(frozen=True, slots=True)
class Recent:
    """Jobs that ended within the last minute; times in ascending seconds, of those that succeeded.

    `ttft_s` is from acceptance to the first token, `e2e_s` to the stored result. Where more ended
    than are looked at, `seconds` is less than a minute.
    """

    seconds: float = RECENT_S
    succeeded: int = 0
    failed: int = 0
    output_tokens: int = 0
    ttft_s: Sequence[float] = ()
    e2e_s: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """`starting` is the Redis TIME at which each worker began that is not ready yet.

    `leader` is None where no scaler leads at this moment.
    """

    fleet: FleetReading
    recent: Recent
    pace: Pace
    starting: Mapping[str, float]
    leader: Leader | None
    decision: Record | None
    slo_latency_s: float
    slo_tpot_s: float
    alerts: Sequence[Alert] = ()


@dataclass
class Reader:
    """Raises `redis.exceptions.RedisError` when the server is away; may be asked again then."""

    redis: Client
    settings: Settings
    _fleet: Fleet = field(init=False)
    _pace: PaceMeter = field(init=False)

    def __post_init__(self) -> None:
        self._fleet = Fleet(self.redis, self.settings)
        self._pace = PaceMeter(self.redis, Roster(self.redis, self.settings.lease_s))

    def read(self) -> Overview:
        fleet = self._fleet.read()
        newest = decisions(self.redis, 1)
        leads = has_leader(self.redis)
        return Overview(
            fleet=fleet,
            recent=recent_of(events.completions(self.redis, MOST_RECENT), fleet.backlog.at),
            pace=self._pace.current(),
            starting=self._starting(),
            leader=Leader.decode(self.redis.hgetall(keys.SCALER)) if leads else None,
            decision=newest[0] if newest else None,
            slo_latency_s=self.settings.slo_latency_s,
            slo_tpot_s=self.settings.slo_tpot_s,
            alerts=active_alerts(self.redis),
        )

    def _starting(self) -> dict[str, float]:
        found = self.redis.hgetall(keys.STARTING)
        return {name.decode(): float(at) for name, at in sorted(found.items())}


def recent_of(completions: Sequence[Completion], now: float) -> Recent:
    """Of the newest completions, the oldest of them first; `now` is Redis TIME."""
    lately = [each for each in completions if _ended_at(each) > now - RECENT_S]
    good = [each for each in lately if each.state is JobState.SUCCEEDED]
    is_cut = len(lately) == MOST_RECENT
    return Recent(
        seconds=max(1e-3, now - _ended_at(lately[0])) if is_cut else RECENT_S,
        succeeded=len(good),
        failed=sum(each.state is JobState.FAILED for each in lately),
        output_tokens=sum(each.report.output_tokens for each in lately if each.report),
        ttft_s=_times(good, "first_token"),
        e2e_s=_times(good, "committed"),
    )


def active_alerts(redis: Client) -> list[Alert]:
    """Those that the monitor has raised, the oldest first."""
    found = [Alert.decode(text) for text in redis.hvals(keys.ALERTS)]
    return sorted(found, key=lambda alert: alert.since)


def _ended_at(completion: Completion) -> float:
    return completion.timings.committed or 0.0


def _times(completions: Sequence[Completion], stamp: str) -> list[float]:
    pairs = ((each.timings.accepted, getattr(each.timings, stamp)) for each in completions)
    return sorted(end - began for began, end in pairs if began is not None and end is not None)
