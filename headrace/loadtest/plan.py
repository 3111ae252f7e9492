"""All that a load test is told, and what of it goes into its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.loadtest.api import ApiName
from headrace.loadtest.loads import Limits, Load
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
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """The options of the load; the key is none of them."""
        return {
            "levels": [{"kind": load.kind, **load.describe()} for load in self.loads],
            **asdict(self.limits),
            "timeout_s": self.timeout_s,
            "temperature": self.temperature,
            "prompts_file": self.prompts_file and str(self.prompts_file),
            "repeat_prompts": self.repeat_prompts,
            "seed": self.seed,
            "slo": asdict(self.slo),
        }
