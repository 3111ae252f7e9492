"""All that a load test is told, and what of it goes into its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.loadtest.api import ApiName
from headrace.loadtest.datasets.dataset import Dataset
from headrace.loadtest.loads import Limits, Load
from headrace.loadtest.service_level import Bounds, ServiceLevel
from headrace.loadtest.slo import Slo
from headrace.loadtest.target import Address


@dataclass(frozen=True)
class Plan:
    """`model` None is the first that the server names."""

    address: Address
    loads: Sequence[Load]
    limits: Limits
    slo: Slo
    api: ApiName = "stream"
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 600.0
    temperature: float = 0.0
    prompts_file: Path | None = None
    repeat_prompts: bool = False
    dataset: Dataset | None = None
    bounds: Sequence[Bounds] = ()
    repeat: int = 1
    seed: int = 0

    @property
    def service_levels(self) -> Sequence[ServiceLevel]:
        """What goodput is measured by; the SLO is the first."""
        return [self.slo, *self.bounds]

    @property
    def order(self) -> Sequence[tuple[int, Load]]:
        """The levels as they run, each with the number of its run: all of them before any again.

        A server that grows slower meanwhile is then slower for all of them.
        """
        return [(run, load) for run in range(1, self.repeat + 1) for load in self.loads]

    def describe(self) -> dict[str, Any]:
        """The options of the load; the key is none of them."""
        return {
            "levels": [{"kind": load.kind, **load.describe()} for load in self.loads],
            **asdict(self.limits),
            "timeout_s": self.timeout_s,
            "temperature": self.temperature,
            "prompts_file": self.prompts_file and str(self.prompts_file),
            "repeat_prompts": self.repeat_prompts,
            "dataset": None if self.dataset is None else str(self.dataset),
            "repeat": self.repeat,
            "seed": self.seed,
            "slo": self.slo.describe(),
            "goodput": {level.name: level.describe() for level in self.bounds},
        }
