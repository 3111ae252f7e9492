"""The alerts that there are, which of them silences which, and how they are raised and cleared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from headrace.core.readings.alert import Alert, Severity

SUMMARIES: Mapping[str, tuple[Severity, str]] = {
    "HeadraceRedisDown": ("page", "Redis does not answer"),
    "HeadraceApiDown": ("page", "the API does not answer"),
    "HeadraceApiNotReady": ("page", "the API answers, but cannot accept work"),
    "HeadraceNoWorkers": ("page", "no worker takes jobs"),
    "HeadraceLatencyHigh": ("page", "a first token takes longer than the SLO allows"),
    "HeadraceErrorRateHigh": ("page", "more than a twentieth of the jobs fail"),
    "HeadraceQueueStuck": ("page", "jobs wait, workers are there, and nothing moves"),
    "HeadraceSloBurnPage": ("page", "the error budget burns fast"),
    "HeadraceSloBurnTicket": ("ticket", "the error budget burns"),
    "HeadraceDegraded": ("ticket", "first tokens take twice as long as they used to"),
}
"""Every alert that the monitor can raise, with what it means."""

_LATENCIES = (
    *("HeadraceLatencyHigh", "HeadraceQueueStuck", "HeadraceDegraded"),
    *("HeadraceSloBurnPage", "HeadraceSloBurnTicket"),
)
SILENCED: Mapping[str, frozenset[str]] = {
    "HeadraceRedisDown": frozenset(
        {"HeadraceApiNotReady", "HeadraceNoWorkers", "HeadraceErrorRateHigh", *_LATENCIES}
    ),
    "HeadraceApiDown": frozenset({"HeadraceApiNotReady"}),
    "HeadraceNoWorkers": frozenset(_LATENCIES),
}
"""What follows from an alert says nothing new: it is neither raised nor cleared meanwhile."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """Those that are active, by name."""

    active: Mapping[str, Alert]

    def after(self, problems: Mapping[str, str], now: float) -> tuple[Self, Sequence[Alert]]:
        """`problems` are descriptions by alert; returns the alerts that changed as well."""
        changed = [*self._cleared(problems, now), *self._raised(problems, now)]
        active = dict(self.active)
        for alert in changed:
            if alert.until is None:
                active[alert.name] = alert
            else:
                del active[alert.name]
        return type(self)(active), changed

    def _raised(self, problems: Mapping[str, str], now: float) -> Iterator[Alert]:
        for name in problems.keys() - self.active.keys() - _silenced(problems):
            severity, summary = SUMMARIES[name]
            yield Alert(name, severity, summary, problems[name], since=now)

    def _cleared(self, problems: Mapping[str, str], now: float) -> Iterator[Alert]:
        for name in self.active.keys() - problems.keys() - _silenced(problems):
            fields = asdict(self.active[name]) | {"until": now}
            yield Alert(**fields)


def _silenced(problems: Mapping[str, str]) -> frozenset[str]:
    return frozenset().union(*(SILENCED.get(name, frozenset()) for name in problems))
