"""What Prometheus would have scraped from a fleet, sample by sample, for `promtool test rules`."""

from __future__ import annotations

from collections.abc import Mapping

STILL: Mapping[str, float] = {
    'up{job="headrace-monitor"}': 1,
    'up{job="headrace-api"}': 1,
    'headrace_probe_up{target="redis"}': 1,
    'headrace_probe_up{target="api-live"}': 1,
    'headrace_probe_up{target="api-ready"}': 1,
    'headrace_probe_up{target="workers"}': 1,
    'headrace_canary_total{outcome="late"}': 0,
    'headrace_canary_total{outcome="failed"}': 0,
    "headrace_canary_ttft_seconds": 0.2,
    "headrace_slo_objective": 0.99,
    "headrace_slo_latency_seconds": 1,
    "headrace_jobs_dead_total": 0,
    "headrace_oldest_job_age_seconds": 0,
    'headrace_workers{state="ready"}': 1,
    'headrace_workers{state="draining"}': 0,
    "headrace_scaler_unknown_readings_total": 0,
    'headrace_scaler_decisions_total{direction="up"}': 0,
    'headrace_scaler_decisions_total{direction="down"}': 0,
}
"""Series of a healthy fleet that stay as they are."""

GROWING: Mapping[str, float] = {
    "headrace_probe_last_timestamp_seconds": 1,
    'headrace_canary_total{outcome="good"}': 0.2,
    "headrace_slo_total": 2,
    "headrace_slo_good_total": 2,
    "headrace_step_seconds_count": 20,
    'headrace_jobs_total{state="succeeded"}': 2,
    'headrace_scaler_decisions_total{direction="hold"}': 0.5,
}
"""And those that grow, by so much a second."""


class Fleet:
    """Healthy for `minutes`, but for what is changed; scraped every `step_s`."""

    def __init__(self, minutes: float, step_s: int = 10) -> None:
        self.step_s = step_s
        self.end_s = round(minutes * 60)
        self.series: dict[str, list[float | None]] = {}
        for name, value in STILL.items():
            self.set(name, value)
        for name, rate in GROWING.items():
            self.grow(name, rate)

    def set(self, name: str, value: float | None, minute: float = 0) -> Fleet:
        """From that minute on; None: no sample."""
        values = self._values(name)
        for index in self._indices(minute):
            values[index] = value
        return self

    def grow(self, name: str, rate: float, minute: float = 0) -> Fleet:
        """From that minute on by `rate` a second."""
        values = self._values(name)
        indices = self._indices(minute)
        before = (values[indices.start - 1] if indices.start else None) or 0.0
        for index in indices:
            values[index] = before + rate * self.step_s * (index - indices.start + 1)
        return self

    def lose(self, pattern: str, minute: float = 0) -> Fleet:
        """No sample of the series whose names have this in them."""
        for name in self.series:
            if pattern in name:
                self.set(name, None, minute)
        return self

    def bad(self, share: float, minute: float = 0) -> Fleet:
        """So many of the jobs are not good."""
        return self.grow("headrace_slo_good_total", 2 * (1 - share), minute)

    def as_input(self) -> list[dict[str, str]]:
        return [
            {"series": name, "values": " ".join(map(_text, values))}
            for name, values in self.series.items()
        ]

    def _values(self, name: str) -> list[float | None]:
        return self.series.setdefault(name, [None] * (self.end_s // self.step_s + 1))

    def _indices(self, minute: float) -> range:
        return range(round(minute * 60) // self.step_s, self.end_s // self.step_s + 1)


def _text(value: float | None) -> str:
    return "_" if value is None else f"{value:.6g}"
