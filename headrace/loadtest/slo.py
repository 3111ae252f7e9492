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
        is_begun_in_time = record.ttft_s is None or record.ttft_s <= self.latency_s
        limit_s = self.latency_s + record.output_tokens * self.tpot_s
        return is_begun_in_time and record.e2e_s <= limit_s
