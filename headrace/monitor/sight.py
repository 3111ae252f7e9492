"""All that the monitor knows at a moment. Its greenlets write it, the alerts are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.core.readings.alert import Alert
from headrace.core.readings.fleet import FleetReading
from headrace.core.readings.slo_course import Sample, SloCourse
from headrace.monitor.aviary import Aviary
from headrace.monitor.prober import Probed, Prober
from headrace.monitor.probes import Target


@dataclass
class Sight:
    """`began` and other moments are seconds since the epoch; what is not known yet is None.

    `moved_at` is when a job last ended, or an engine took a step: `moves` counts both.
    """

    began: float
    probers: Mapping[Target, Prober]
    aviary: Aviary = field(default_factory=Aviary)
    course: SloCourse | None = None
    fleet: FleetReading | None = None
    totals: Sample | None = None
    moves: int = 0
    moved_at: float = 0.0
    active: Mapping[str, Alert] = field(default_factory=dict)
    judged_at: float = 0.0

    @property
    def probes(self) -> Mapping[Target, Probed]:
        found = {target: prober.last for target, prober in self.probers.items()}
        return {target: last for target, last in found.items() if last is not None}

    @property
    def has_workers(self) -> bool:
        """As far as is known; False as well where none is wanted."""
        workers = self.probes.get("workers")
        is_well = workers is not None and workers.problem is None
        return is_well and self.fleet is not None and self.fleet.desired.size != 0

    def see(self, fleet: FleetReading, totals: Sample) -> None:
        """A reading of the fleet, and what was counted until then."""
        ended = sum(count for name, count in fleet.counts.items() if name.startswith("jobs:"))
        moves = ended + fleet.counts.get("steps:n", 0)
        if moves != self.moves or self.fleet is None:
            self.moves, self.moved_at = moves, totals.at
        self.fleet, self.totals = fleet, totals
