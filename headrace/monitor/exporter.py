"""The fleet as Prometheus metrics. The API exports HTTP's; nothing is exported twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import structlog
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from headrace.core.histogram import (
    BATCH_SIZE,
    E2E,
    INFERENCE,
    QUEUE_WAIT,
    STEP,
    TPOT,
    TTFT,
    Histogram,
)
from headrace.core.jobs import log_loss
from headrace.core.jobs.backlog import Backlog
from headrace.core.jobs.rq_adapter import job_state
from headrace.core.readings.fleet import Fleet, FleetReading
from headrace.core.roster import Activity, WorkerState
from headrace.core.version import version

log = structlog.get_logger()

HISTOGRAMS = {
    E2E: "Seconds from acceptance to the stored result, of jobs that succeeded.",
    QUEUE_WAIT: "Seconds from acceptance to a worker's first claim.",
    INFERENCE: "Seconds from the first claim to the last token.",
    TTFT: "Seconds from acceptance to the first token.",
    TPOT: "Seconds between output tokens after the first.",
    STEP: "Seconds of one engine step.",
    BATCH_SIZE: "Requests in one engine step.",
}

COUNTS = {
    "jobs_dead": ("dead", "Jobs that became dead letters."),
    "jobs_redelivered": (
        "redelivered",
        "Jobs that waited again because their worker or its engine died.",
    ),
    "engine_deaths": ("engine_deaths", "Engine processes that died under a worker that lives."),
    "jobs_preempted": ("preempted", "Times that a running job made room for interactive work."),
    "jobs_retried": ("retried", "Tries that ended in an engine error and were repeated."),
    "slo": ("slo", "Jobs that ended, but for cancelled ones."),
    "slo_good": ("slo_good", "Jobs that succeeded within the SLO."),
}
"""Counter -> its field in Redis and its help."""

LOG_LINES_LOST = "Log lines that could not be written."


class FleetCollector(Collector):
    """Reads the fleet whenever it is scraped; says nothing of it while Redis is away.

    No figure is better than an old one.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def describe(self) -> list[Metric]:
        """Nothing: registering must not need Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield build_info()
        try:
            reading = self._fleet.read()
        except RedisError as error:
            log.warning("the fleet cannot be read", error=str(error))
            return
        yield from backlog_gauges(reading.backlog)
        yield workers_gauge(reading.workers)
        yield from fidelity_gauges(reading.workers)
        yield from job_counters(reading.counts)
        for name, (field, text) in COUNTS.items():
            counter = reading.counts.get(field, 0)
            yield CounterMetricFamily(f"headrace_{name}", text, value=counter)
        yield late_counter(reading.counts)
        yield log_loss_counter(reading.counts)
        yield from scaler_metrics(reading)
        for histogram, text in HISTOGRAMS.items():
            yield histogram_metric(histogram, text, reading.counts)


def build_info() -> Metric:
    family = GaugeMetricFamily("headrace_build_info", "1, by version.", labels=["version"])
    family.add_metric([version()], 1)
    return family


def backlog_gauges(backlog: Backlog) -> Iterator[Metric]:
    depth = GaugeMetricFamily("headrace_queue_depth", "Jobs by state.", labels=["state"])
    for state in ("waiting", "running", "dead"):
        depth.add_metric([state], getattr(backlog, state))
    yield depth
    aside = GaugeMetricFamily(
        "headrace_jobs_set_aside",
        "Jobs that wait for workers of another model card than the one served now.",
        labels=["model"],
    )
    for model, jobs in sorted(backlog.set_aside.items()):
        aside.add_metric([model], jobs)
    yield aside
    yield GaugeMetricFamily(
        "headrace_oldest_job_age_seconds",
        "Age of the oldest waiting job, 0 where none waits.",
        value=backlog.oldest_s,
    )


def workers_gauge(workers: Sequence[WorkerState]) -> Metric:
    """Every state is there, with 0 where no worker is in it: an alert must see a zero."""
    activities = Counter(worker.activity for worker in workers)
    family = GaugeMetricFamily("headrace_workers", "Live workers by state.", labels=["state"])
    for activity in get_args(Activity):
        family.add_metric([activity], activities[activity])
    return family


def fidelity_gauges(workers: Sequence[WorkerState]) -> Iterator[Metric]:
    """The worst live worker of each engine and number format; those unmeasured are left out."""
    divergence = GaugeMetricFamily(
        "headrace_fidelity_kl_nats",
        "Mean divergence of an engine's next-token probabilities from its model's own.",
        labels=["engine", "dtype"],
    )
    agreement = GaugeMetricFamily(
        "headrace_fidelity_top1_ratio",
        "Share of places where engine and model have the same most likely token.",
        labels=["engine", "dtype"],
    )
    worst: dict[tuple[str, str], tuple[float, float]] = {}
    for worker in workers:
        if worker.fidelity is None or worker.fidelity.kl is None:
            continue
        engine = (worker.engine, worker.fidelity.dtype)
        figures = (worker.fidelity.kl, worker.fidelity.top1 or 0.0)
        worst[engine] = max(figures, worst.get(engine, figures))
    for labels, (kl, top1) in worst.items():
        divergence.add_metric(labels, kl)
        agreement.add_metric(labels, top1)
    yield from (divergence, agreement)


def job_counters(counts: Mapping[str, int]) -> Iterator[Metric]:
    tokens = CounterMetricFamily("headrace_tokens", "Tokens of ended jobs.", labels=["type"])
    for kind in ("input", "output"):
        tokens.add_metric([kind], counts.get(f"tokens:{kind}", 0))
    yield tokens
    jobs = CounterMetricFamily(
        "headrace_jobs", "Jobs that ended, by state and reason.", labels=["state", "reason"]
    )
    for field, count in sorted(counts.items()):
        name, _, ending = field.partition(":")
        if name == "jobs":
            status, _, reason = ending.partition(":")
            jobs.add_metric([job_state(status, reason), reason], count)
    yield jobs


def late_counter(counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        "headrace_late_writes",
        "Publications and results refused, as the job was another worker's by then.",
        labels=["call"],
    )
    for call in ("publish", "finish"):
        family.add_metric([call], counts.get(f"late:{call}", 0))
    return family


def log_loss_counter(counts: Mapping[str, int]) -> Metric:
    """The API exports its own."""
    family = CounterMetricFamily("headrace_log_lines_lost", LOG_LINES_LOST, labels=["service"])
    for service in ("worker", "monitor", "scaler", "supervisor"):
        family.add_metric([service], counts.get(f"{log_loss.FIELD}:{service}", 0))
    return family


def scaler_metrics(reading: FleetReading) -> Iterator[Metric]:
    """Where no scaler ever ran nothing is desired, and there is no such sample."""
    desired = GaugeMetricFamily("headrace_scaler_desired_workers", "Workers that are wanted.")
    if reading.desired.size is not None:
        desired.add_metric([], reading.desired.size)
    yield desired
    ready = sum(worker.activity == "ready" for worker in reading.workers)
    yield GaugeMetricFamily("headrace_scaler_ready_workers", "Workers that take jobs.", value=ready)
    yield GaugeMetricFamily(
        "headrace_scaler_paused",
        "1 while a person keeps the number of workers, by `pause` or `fix`.",
        value=reading.desired.mode != "auto",
    )
    yield CounterMetricFamily(
        "headrace_scaler_unknown_readings",
        "Ticks at which the scaler knew nothing, and changed nothing.",
        value=reading.counts.get("scaler:unknown", 0),
    )
    decisions = CounterMetricFamily(
        "headrace_scaler_decisions", "Ticks by what became of the number.", labels=["direction"]
    )
    for direction in ("up", "down", "hold"):
        decisions.add_metric([direction], reading.counts.get(f"scaler:{direction}", 0))
    yield decisions


def histogram_metric(histogram: Histogram, text: str, counts: Mapping[str, int]) -> Metric:
    return HistogramMetricFamily(
        f"headrace_{histogram.name}",
        text,
        buckets=histogram.cumulated(counts),
        sum_value=histogram.sum(counts),
    )
