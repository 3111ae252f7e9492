"""A level as it is reported: its figures, and whether they may be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.loadtest import validity
from headrace.loadtest.figures import Figures, figures
from headrace.loadtest.fleet_watch import Watched
from headrace.loadtest.loads import ClosedLoad, Load
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.server_counts import Counts, own_counts
from headrace.loadtest.service_level import ServiceLevel
from headrace.loadtest.validity import Check

COMPARED = (50, 95)


@dataclass(frozen=True)
class Result:
    """`began_s`: its window, so long after the first level's warm-up began; `run` counts from 1."""

    load: Load
    figures: Figures
    checks: Sequence[Check]
    notes: Sequence[str]
    measurement: Measurement
    watched: Watched = field(default_factory=Watched)
    began_s: float = 0.0
    run: int = 1

    @property
    def is_valid(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> Sequence[str]:
        return self._says("failed")

    @property
    def remarks(self) -> Sequence[str]:
        """What was not checked, and why; what else a reader must know."""
        return [*self._says("unchecked"), *self.notes]

    def degradation(self, first: Result) -> Mapping[int, float]:
        """Latency percentiles as multiples of the first level's."""
        mine, its = self.figures.e2e, first.figures.e2e
        if mine is None or its is None:
            return {}
        return {p: mine.percentiles[p].value / its.percentiles[p].value for p in COMPARED}

    def _says(self, status: str) -> Sequence[str]:
        return [f"{check.name}: {check.says}" for check in self.checks if check.status == status]


def judge(
    measurement: Measurement,
    service_levels: Sequence[ServiceLevel],
    seed: int,
    increase: Counts | None,
    unsure: int,
    notes: Sequence[str],
) -> Result:
    """`increase` is what the server counted meanwhile; `unsure`: see `validity.same_counts`."""
    found = figures(measurement, service_levels, seed)
    checks = list(_checks(measurement, found, increase, unsure))
    return Result(measurement.load, found, checks, [*found.notes, *notes], measurement)


def _checks(
    measurement: Measurement, found: Figures, increase: Counts | None, unsure: int
) -> Sequence[Check]:
    records = measurement.records
    latencies = [record.e2e_s for record in measurement.completions]
    load = measurement.load
    offered_per_s = None if isinstance(load, ClosedLoad) else measurement.offered_per_s
    deliveries = [record.delivery_s for record in measurement.counted if record.succeeded]
    checks = [
        validity.complete(
            found.requests, found.succeeded, measurement.left_open, measurement.is_interrupted
        ),
        (
            validity.no_steady_state()
            if load.ramp
            else validity.littles_law(
                found.in_flight, latencies, measurement.window_s, offered_per_s
            )
        ),
        validity.generator_lag(
            measurement.ticks_late_s,
            [record.late_s for record in records],
            found.e2e.percentiles[50].value if found.e2e else 0.0,
        ),
    ]
    if not measurement.is_interrupted:
        checks.append(validity.clocks([each for each in deliveries if each is not None]))
        checks.append(validity.same_counts(own_counts(records), increase, unsure))
    if isinstance(load, ClosedLoad):
        until = min(measurement.end, measurement.last_sent)
        edges = measurement.start, until
        busy = measurement.in_flight.mean(*edges) + measurement.thinking.mean(*edges)
        sending_s = until - measurement.start
        users = load.mean_users(sending_s) if sending_s > 0 else load.concurrency
        errors = sum(found.errors.values())
        checks.append(validity.full_concurrency(busy, users, sending_s, errors))
    return checks
