"""What the monitor itself knows, as Prometheus metrics: also while Redis is away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.core.readings.slo_course import KEPT_S
from headrace.core.settings import Settings
from headrace.monitor.alerts import SUMMARIES
from headrace.monitor.canary import Outcome
from headrace.monitor.problems import burn_rates
from headrace.monitor.sight import Sight


class MonitorCollector(Collector):
    def __init__(self, sight: Sight, settings: Settings) -> None:
        self._sight = sight
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        yield from self._probes()
        yield from self._canaries()
        yield from self._slo()
        active = GaugeMetricFamily(
            "headrace_alert_active", "1 while it is raised.", labels=["alert", "severity"]
        )
        for name, (severity, _summary) in SUMMARIES.items():
            active.add_metric([name, severity], name in self._sight.active)
        yield active

    def _probes(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("headrace_probe_up", "1 while it is well.", labels=["target"])
        seconds = GaugeMetricFamily(
            "headrace_probe_seconds", "What the last probe took.", labels=["target"]
        )
        for target, probed in self._sight.probes.items():
            up.add_metric([target], probed.problem is None)
            seconds.add_metric([target], probed.seconds)
        yield up
        yield seconds
        yield GaugeMetricFamily(
            "headrace_probe_last_timestamp_seconds",
            "When the monitor last judged what it sees, seconds since the epoch.",
            value=self._sight.judged_at,
        )

    def _canaries(self) -> Iterator[Metric]:
        aviary = self._sight.aviary
        flights = CounterMetricFamily(
            "headrace_canary", "Requests of the monitor's own.", labels=["outcome"]
        )
        for outcome in get_args(Outcome):
            flights.add_metric([outcome], aviary.counts[outcome])
        yield flights
        ttft = GaugeMetricFamily(
            "headrace_canary_ttft_seconds", "Time to the last one's first token, or its age then."
        )
        if aviary.last is not None:
            ttft.add_metric([], aviary.last.ttft_s)
        yield ttft

    def _slo(self) -> Iterator[Metric]:
        settings, sight = self._settings, self._sight
        yield GaugeMetricFamily(
            "headrace_slo_objective",
            "Share of answers that should be good.",
            value=settings.slo_objective,
        )
        yield GaugeMetricFamily(
            "headrace_slo_latency_seconds",
            "Longest time to a first token that is good.",
            value=settings.slo_latency_s,
        )
        burn = GaugeMetricFamily(
            "headrace_slo_burn_rate", "1 spends 30 days' budget in 30 days.", labels=["window"]
        )
        for window, rate in burn_rates(sight, settings.slo_objective).items():
            burn.add_metric([window], rate)
        yield burn
        left = GaugeMetricFamily(
            "headrace_slo_budget_left", "Share of 30 days' budget; below 0: more than that."
        )
        if sight.course is not None and sight.totals is not None:
            spent = sight.course.tally(KEPT_S, sight.totals).burn_rate(settings.slo_objective)
            if spent is not None:
                left.add_metric([], 1 - spent)
        yield left
