"""The SLO of the settings: what counts as a good answer of a deployment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Slo:
    """Good is an answer within `latency_s + output tokens * tpot_s`, begun within `latency_s`."""

    name: ClassVar[str] = "slo"

    latency_s: float
    tpot_s: float

    def allows(
        self,
        e2e_s: float,
        ttft_s: float | None,
        output_tokens: float,
        tpot_s: float | None = None,
    ) -> bool:
        """Judges an answer that succeeded; one without a known TTFT by its end alone."""
        is_begun_in_time = ttft_s is None or ttft_s <= self.latency_s
        return is_begun_in_time and e2e_s <= self.latency_s + output_tokens * self.tpot_s

    def describe(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        latency = f"{self.latency_s:g} s"
        return f"within {latency} + {self.tpot_s:g} s a token, begun within {latency}"
