"""What counts as a good answer."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.loadtest.record import Record


@dataclass(frozen=True)
class Slo:
    """Good is an answer within `latency_s + output tokens * tpot_s`, begun within `latency_s`."""

    latency_s: float
    tpot_s: float

    def is_met(self, record: Record) -> bool:
        if not record.succeeded:
            return False
        return self.allows(record.e2e_s, record.ttft_s, record.output_tokens)

    def allows(self, e2e_s: float, ttft_s: float | None, output_tokens: float) -> bool:
        """Of an answer; one without a known TTFT is judged by its end alone."""
        is_begun_in_time = ttft_s is None or ttft_s <= self.latency_s
        return is_begun_in_time and e2e_s <= self.latency_s + output_tokens * self.tpot_s
