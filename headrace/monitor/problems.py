"""What is wrong, by alert: a pure function of what the monitor sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headrace.core.readings.slo_course import WINDOWS
from headrace.core.settings import Settings
from headrace.monitor.aviary import RECENT_S
from headrace.monitor.prober import Probed
from headrace.monitor.probes import Target
from headrace.monitor.sight import Sight

START_S = 120.0
"""What has never been well yet may take so long: a model is loaded, a log is read."""

ALERT_OF: Mapping[Target, str] = {
    "redis": "HeadraceRedisDown",
    "api-live": "HeadraceApiDown",
    "api-ready": "HeadraceApiNotReady",
    "workers": "HeadraceNoWorkers",
}

NEEDS: Mapping[Target, Sequence[Target]] = {"api-ready": ("redis", "api-live")}

MINUTE_S = 60.0
BURNS = (
    ("HeadraceSloBurnPage", 14.4, "1h", "5m"),
    ("HeadraceSloBurnPage", 6.0, "6h", "30m"),
    ("HeadraceSloBurnTicket", 3.0, "1d", "2h"),
    ("HeadraceSloBurnTicket", 1.0, "3d", "6h"),
)
"""Rates that both windows must reach: the long one says that it matters, the short one that it
lasts (Site Reliability Workbook, chapter 5)."""

LEAST_EVENTS = 30
FAILED_SHARE, FAILED_LEAST, FAILED_WINDOW_S = 0.05, 20, 5 * MINUTE_S
STUCK_S = 60.0
DEGRADED_RATIO, BASELINE_LEAST = 2.0, 30
NOTICEABLE_SHARE = 0.1
"""A median below this share of the SLO is no trouble, whatever it used to be."""


def problems(sight: Sight, settings: Settings, now: float) -> dict[str, str]:
    """Descriptions by the name of the alert; one of several of a name."""
    found = [
        *_probes(sight, now),
        *_latency(sight, settings),
        *_errors(sight),
        *_stuck(sight, now),
        *_burns(sight, settings.slo_objective),
        *_degraded(sight, settings, now),
    ]
    return dict(reversed(found))


def burn_rates(sight: Sight, objective: float) -> Mapping[str, float]:
    """By window; those in which no job ended are absent."""
    if sight.course is None or sight.totals is None:
        return {}
    rates = {
        name: sight.course.tally(seconds, sight.totals).burn_rate(objective)
        for name, seconds in WINDOWS.items()
    }
    return {name: rate for name, rate in rates.items() if rate is not None}


def _probes(sight: Sight, now: float) -> Iterator[tuple[str, str]]:
    for target, probed in sight.probes.items():
        is_due = probed.was_well or now - sight.began > START_S
        if probed.problem and is_due and _needs_are_well(sight, target, probed):
            yield ALERT_OF[target], probed.problem


def _needs_are_well(sight: Sight, target: Target, ill: Probed) -> bool:
    """As far as was asked since: who is first to miss what is gone must not wake anybody."""
    needed = (sight.probes.get(each) for each in NEEDS.get(target, ()))
    return all(each is not None and each.began >= (ill.ill_since or 0.0) for each in needed)


def _latency(sight: Sight, settings: Settings) -> Iterator[tuple[str, str]]:
    last = sight.aviary.last
    if sight.aviary.is_late and last is not None:
        text = f"the last canary's first token took {last.ttft_s:.1f} s"
        if last.outcome == "failed":
            text = "the last canary failed"
        yield "HeadraceLatencyHigh", f"{text}; {settings.slo_latency_s:g} s are allowed"


def _errors(sight: Sight) -> Iterator[tuple[str, str]]:
    if sight.course is None or sight.totals is None:
        return
    lately = sight.course.tally(FAILED_WINDOW_S, sight.totals)
    if lately.total >= FAILED_LEAST and lately.failed > FAILED_SHARE * lately.total:
        yield (
            "HeadraceErrorRateHigh",
            f"{lately.failed} of the last {lately.total} jobs failed, in {lately.seconds:.0f} s",
        )


def _stuck(sight: Sight, now: float) -> Iterator[tuple[str, str]]:
    fleet = sight.fleet
    if fleet is None or not any(worker.activity == "ready" for worker in fleet.workers):
        return
    if fleet.backlog.oldest_s > STUCK_S and now - sight.moved_at > STUCK_S:
        yield (
            "HeadraceQueueStuck",
            f"{fleet.backlog.waiting} jobs wait, the oldest for {fleet.backlog.oldest_s:.0f} s;"
            f" no engine has taken a step for {now - sight.moved_at:.0f} s",
        )


def _burns(sight: Sight, objective: float) -> Iterator[tuple[str, str]]:
    rates = burn_rates(sight, objective)
    for name, least, long, short in BURNS:
        if min(rates.get(long, 0.0), rates.get(short, 0.0)) >= least and _tells(sight, short):
            yield (
                name,
                f"{rates[long]:.1f} times the budget of {long}, {rates[short]:.1f} of {short}",
            )


def _tells(sight: Sight, window: str) -> bool:
    """Of few jobs nothing is said: the canary speaks for them."""
    if sight.course is None or sight.totals is None:
        return False
    return sight.course.tally(WINDOWS[window], sight.totals).total >= LEAST_EVENTS


def _degraded(sight: Sight, settings: Settings, now: float) -> Iterator[tuple[str, str]]:
    if sight.course is None:
        return
    lately = sight.aviary.median_s(now)
    if lately is None or lately < NOTICEABLE_SHARE * settings.slo_latency_s:
        return
    usual = sight.course.canary_baseline_s(now, RECENT_S, BASELINE_LEAST)
    if usual is not None and lately > DEGRADED_RATIO * usual:
        yield "HeadraceDegraded", f"{lately:.3f} s in the median, {usual:.3f} s is usual"
