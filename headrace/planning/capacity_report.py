"""A capacity as JSON; `docs/capacity.md` says what the fields mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from headrace.core.machine import machine
from headrace.core.version import version
from headrace.loadtest.slo import Slo
from headrace.planning.capacity import Capacity, Question, Tried
from headrace.planning.service import Stretch
from scaler.decision import Decision
from scaler.rules import Rules
from scaler.start_values import StartValues

SCHEMA = "headrace.capacity/1"
DECIDES_AFTER_S = 240.0
"""So long a rate lasts until the policy's decision is looked at, beside its cold starts."""

COLD_STARTS = 6
DEFAULT_COLD_START_S = 30.0


@dataclass(frozen=True)
class Row:
    """Workers for a rate: `fewest` to `most`, as far as the limit of one is known.

    `p95_s` is that of `most` of them, `decision` what the policy would have come to.
    """

    rate: float
    fewest: int
    most: int
    p95_s: float
    decision: Decision | None


def start_values(capacity: Capacity, question: Question) -> StartValues:
    service, outputs = capacity.service, capacity.service.outputs
    cold_start_s = capacity.deployment.cold_start_s
    return StartValues(
        service.machine.curve,
        service.prompt_tokens,
        sum(outputs) / len(outputs),
        float(question.max_tokens),
        DEFAULT_COLD_START_S if cold_start_s is None else cold_start_s,
    )


def rows(capacity: Capacity, question: Question, rates: Sequence[float], rules: Rules) -> list[Row]:
    """`rules` are those of the policy, which begins with the workers that were measured."""
    return [_row(capacity, question, rate, rules) for rate in rates]


def _row(capacity: Capacity, question: Question, rate: float, rules: Rules) -> Row:
    fewest, most = capacity.workers(rate)
    load = question.load(rate, question.seed)
    service, workers = capacity.service, capacity.deployment.workers
    stretch = Stretch(question.warmup_s, 4 * question.seconds)
    seconds = DECIDES_AFTER_S + COLD_STARTS * start_values(capacity, question).cold_start_s
    return Row(
        rate,
        fewest,
        most,
        service.predict(load, stretch, most, question.slo).p95_s,
        service.scaled(load, seconds, workers, rules),
    )


def report(
    capacity: Capacity, question: Question, table: Sequence[Row], url: str, model: str
) -> dict[str, Any]:
    service, deployment = capacity.service, capacity.deployment
    return {
        "schema": SCHEMA,
        "headrace": version(),
        "machine": machine(),
        "url": url,
        "model": model,
        "question": asdict(question),
        "workers": deployment.workers,
        "slots": deployment.slots,
        "capacity": {
            "rate": capacity.rate,
            "too_high": capacity.too_high,
            "per_worker": round(capacity.per_worker, 4),
        },
        "step_curve": asdict(service.machine.curve),
        "overhead_s": round(service.overhead_s, 6),
        "throughput_law": {
            **asdict(capacity.usl),
            "points": [list(point) for point in capacity.points],
            "largest_error": round(capacity.usl.error(capacity.points), 4),
        },
        "probes": [_tried(Tried([level]), question.objective) for level in capacity.probes],
        "predictions": [_prediction(tried, question.objective) for tried in capacity.held_out],
        "rows": [_encode_row(row) for row in table],
    }


def _prediction(tried: Tried, objective: float) -> dict[str, Any]:
    tries = [_tried(Tried([level]), objective) for level in tried.levels]
    return {**_tried(tried, objective), "tries": tries}


def _tried(tried: Tried, objective: float) -> dict[str, Any]:
    """Medians, where it was tried several times."""
    middle = tried.middle
    goodput = middle(lambda level: level.measured.figures.goodput[Slo.name].share)
    return {
        "rate": tried.rate,
        "predicted_p95_s": _finite(middle(lambda level: level.predicted.p95_s)),
        "measured_p95_s": _finite(middle(lambda level: level.p95_s)),
        "p95_error": _finite(middle(lambda level: level.p95_error)),
        "pace": round(middle(lambda level: level.pace), 4),
        "p95_error_at_pace": _finite(middle(lambda level: level.p95_error_at_pace)),
        "predicted_tokens_per_s": round(middle(lambda level: level.predicted.tokens_per_s), 2),
        "measured_tokens_per_s": round(middle(lambda level: level.tokens_per_s), 2),
        "tokens_error": _finite(middle(lambda level: level.tokens_error)),
        "predicted_goodput": round(middle(lambda level: level.predicted.goodput), 4),
        "goodput": round(goodput, 4),
        "kept": goodput >= objective,
        "valid": tried.is_valid,
        "problems": [text for level in tried.levels for text in level.measured.problems],
    }


def _encode_row(row: Row) -> dict[str, Any]:
    decision = row.decision
    return {
        "rate": row.rate,
        "workers": row.most,
        "fewest": row.fewest,
        "predicted_p95_s": _finite(row.p95_s),
        "decision": decision and {"workers": decision.size, "reason": decision.reason},
    }


def _finite(value: float) -> float | None:
    return round(value, 5) if isfinite(value) else None
