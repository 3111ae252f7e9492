"""Records, measurements and results as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.loadtest.in_flight import InFlight
from headrace.loadtest.measurement import Measurement
from headrace.loadtest.record import Record, ServerTimes
from headrace.loadtest.result import Result, judge
from headrace.loadtest.slo import Slo
from tests.load import closed

SLO = Slo(latency_s=1.0, tpot_s=0.1)
SERVER = ServerTimes(0.1, {"queue_wait": 0.2, "prefill": 0.1, "decode": 0.3, "commit": 0.0}, 3.0)


def a_record(scheduled: float = 0.0, e2e_s: float = 1.0, **changes: Any) -> Record:
    """Succeeded, streamed: first token after half of its time, four tokens in all."""
    fields: dict[str, Any] = {
        "scheduled": scheduled,
        "sent": scheduled,
        "first_token": scheduled + e2e_s / 2,
        "last_token": scheduled + e2e_s,
        "done": scheduled + e2e_s,
        "status": 200,
        "input_tokens": 32,
        "output_tokens": 4,
    }
    return Record(**fields | changes)


def a_failure(scheduled: float = 0.0, error: str = "http_503", **changes: Any) -> Record:
    nothing = {"first_token": None, "last_token": None, "output_tokens": 0, "status": 503}
    return a_record(scheduled, error=error, **nothing | changes)


def one_after_another(count: int = 20, e2e_s: float = 1.0, **changes: Any) -> list[Record]:
    """What a single user measures."""
    return [a_record(number * e2e_s, e2e_s, **changes) for number in range(count)]


def a_measurement(records: Sequence[Record], **changes: Any) -> Measurement:
    """From the first send to the last end."""
    in_flight = InFlight()
    for record in records:
        in_flight.begin(record.scheduled)
        in_flight.end(record.done or 0.0)
    fields: dict[str, Any] = {
        "load": closed(1),
        "start": records[0].scheduled,
        "end": max(record.done or 0.0 for record in records),
        "last_sent": records[-1].scheduled,
        "records": records,
        "in_flight": in_flight,
        "ticks_late_s": [0.001] * 100,
        "cpu_s": 0.01,
        "is_interrupted": False,
    }
    return Measurement(**fields | changes)


def a_result(records: Sequence[Record] | None = None, **changes: Any) -> Result:
    """Valid, unless its records or changes say otherwise."""
    measurement = a_measurement(records or one_after_another(), **changes)
    return judge(measurement, [SLO], seed=0, increase=None, unsure=0, notes=[])
