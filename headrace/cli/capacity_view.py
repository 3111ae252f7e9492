"""A capacity for eyes: what was measured, how well the model knew it, and workers for any rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from headrace.cli.record_view import table_of
from headrace.cli.terminal import console
from headrace.loadtest.slo import Slo
from headrace.planning.capacity import Capacity, Question, Tried
from headrace.planning.capacity_report import Row


def drawn(capacity: Capacity, question: Question, table: Sequence[Row]) -> RenderableType:
    width = console().width
    tried = [_cells(Tried([level]), question) for level in capacity.probes]
    new = [_cells(tried, question) for tried in capacity.held_out]
    return Group(
        *(Text(line) for line in _summary(capacity, question)),
        Text("\nRates tried, each predicted before it was sent", style="bold"),
        table_of(tried, set(), width),
        Text(f"\nRates that the model had not seen{_tries(question)}", style="bold"),
        table_of(new, set(), width),
        Text("\nWorkers", style="bold"),
        table_of([_row_cells(row) for row in table], set(), width),
        Text("\n".join(_legend(question)), style="dim"),
    )


def _summary(capacity: Capacity, question: Question) -> Iterator[str]:
    deployment, curve, usl = capacity.deployment, capacity.service.machine.curve, capacity.usl
    bound = "none was too high"
    if capacity.too_high is not None:
        bound = f"{capacity.too_high:g} is too much"
    yield (
        f"{deployment.workers} workers of {deployment.slots} slots bear"
        f" {capacity.rate:g} requests/s of {question.prompt_tokens} and {question.max_tokens}"
        f" tokens; {bound}."
    )
    yield (
        f"A step takes {1000 * curve.alpha:.2f} ms + {1000 * curve.beta:.3f} a row"
        f" + {1000 * curve.gamma:.4f} a prompt token; a request"
        f" {1000 * capacity.service.overhead_s:.1f} ms beside that."
    )
    crowd = f"1 + {usl.contention:.4f} (N - 1) + {usl.coherence:.6f} N (N - 1)"
    yield (
        f"Tokens/s of a worker with N requests: {usl.rate:.1f} N / ({crowd}), at most"
        f" {usl.most(deployment.slots):.0f}; {usl.error(capacity.points):.1%} off at the most."
    )


def _cells(tried: Tried, question: Question) -> dict[str, Text]:
    middle = tried.middle
    goodput = middle(lambda level: level.measured.figures.goodput[Slo.name].share)
    return {
        "req/s": Text(f"{tried.rate:g}" + ("" if tried.is_valid else " !")),
        "good": Text(f"{goodput:.1%}", style="" if goodput >= question.objective else "red"),
        "p95 s": Text(f"{middle(lambda level: level.p95_s):.3f}"),
        "predicted": Text(f"{middle(lambda level: level.predicted.p95_s):.3f}"),
        "off": Text(f"{middle(lambda level: level.p95_error):+.1%}"),
        "pace": Text(f"{middle(lambda level: level.pace):.2f}"),
        "off at it": Text(f"{middle(lambda level: level.p95_error_at_pace):+.1%}"),
        "tokens/s": Text(f"{middle(lambda level: level.tokens_per_s):.1f}"),
        "predicted ": Text(f"{middle(lambda level: level.predicted.tokens_per_s):.1f}"),
        "off ": Text(f"{middle(lambda level: level.tokens_error):+.1%}"),
    }


def _tries(question: Question) -> str:
    return f": medians of {question.tries} tries, taken in turn" if question.tries > 1 else ""


def _row_cells(row: Row) -> dict[str, Text]:
    workers = str(row.most) if row.fewest == row.most else f"{row.fewest} to {row.most}"
    decision = row.decision
    return {
        "req/s": Text(f"{row.rate:g}"),
        "workers": Text(workers),
        "p95 s": Text(f"{row.p95_s:.3f}"),
        "scaler": Text("" if decision is None else str(decision.size)),
        "why": Text("" if decision is None else decision.reason),
    }


def _legend(question: Question) -> Iterator[str]:
    slo = question.slo
    yield (
        f"good: within {slo.latency_s:g} s + {slo.tpot_s:g} s a token, begun within"
        f" {slo.latency_s:g} s; {question.objective:.1%} of the answers have to be"
    )
    yield "pace: what steps took, as a multiple of those before: other than 1 the machine changed"
    yield "workers: each on a machine of its own; scaler: what its policy would come to, and why"
