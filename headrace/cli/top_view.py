"""How `headrace top` shows a reading: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.cli.percentiles import PERCENTS, percentiles
from headrace.cli.record_view import WIDE, local_time, table_of
from headrace.cli.terminal import harmless
from headrace.core.readings.alert import Alert
from headrace.core.readings.overview import Overview
from headrace.core.roster import WorkerState

NO_LEADER = "no scaler leads"
STYLES = {"ready": "green", "starting": "yellow", "draining": "yellow", "drained": "dim"}


def view(reading: Overview) -> RenderableType:
    """As wide as the console; some eighty columns suffice."""
    workers = [*_ready(reading), *_starting(reading)]
    table: RenderableType = Text("no workers: nothing will be done", "bold red")
    if workers:
        table = table_of(workers, (), width=WIDE)
    return Group(_facts(reading), Text(""), _latencies(reading), Text(""), table)


def as_record(reading: Overview) -> dict[str, Any]:
    """Times in seconds; what is not known is None."""
    recent, counts = reading.recent, reading.fleet.counts
    return {
        **asdict(reading.fleet.backlog),
        "drain_tokens_per_s": reading.pace.tokens_per_s,
        "recent": {
            "seconds": recent.seconds,
            "succeeded": recent.succeeded,
            "failed": recent.failed,
            "output_tokens": recent.output_tokens,
            "ttft_s": _named(percentiles(recent.ttft_s)),
            "e2e_s": _named(percentiles(recent.e2e_s)),
        },
        "slo": {"jobs": counts.get("slo", 0), "good": counts.get("slo_good", 0)},
        "alerts": [asdict(alert) for alert in reading.alerts],
        "workers": [asdict(worker) for worker in reading.fleet.workers],
        "starting": dict(reading.starting),
        "scaler": {
            "leader": reading.leader.holder if reading.leader else None,
            "mode": reading.fleet.desired.mode,
            "desired": reading.fleet.desired.size,
            "last_decision": asdict(reading.decision) if reading.decision else None,
        },
    }


def _facts(reading: Overview) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in _lines(reading):
        table.add_row(Text(name, style="dim"), text)
    return table


def _lines(reading: Overview) -> Iterator[tuple[str, Text]]:
    backlog, recent = reading.fleet.backlog, reading.recent
    yield "at", Text(datetime.fromtimestamp(backlog.at).strftime("%Y-%m-%d %H:%M:%S"))
    yield "queue", _queue(reading)
    yield "running", Text(f"{backlog.running} in {reading.pace.slots} slots")
    yield (
        "ended",
        Text(
            f"{recent.succeeded / recent.seconds:.1f} jobs/s,"
            f" {recent.output_tokens / recent.seconds:.0f} tokens/s; {recent.failed} failed"
        ),
    )
    yield "dead", Text(str(backlog.dead), style="red" if backlog.dead else "")
    yield "scaler", _scaler(reading)
    if reading.alerts:
        yield "alerts", alerts_text(reading.alerts)


def _queue(reading: Overview) -> Text:
    backlog, rate = reading.fleet.backlog, reading.pace.tokens_per_s
    text = Text(f"{backlog.waiting} wait")
    if backlog.waiting:
        late = backlog.oldest_s > reading.slo_latency_s
        text.append(f", {backlog.waiting_tokens:.0f} tokens, the oldest for ")
        text.append(f"{backlog.oldest_s:.1f} s", "red" if late else "")
        if rate:
            text.append(f"; drained in {backlog.waiting_tokens / rate:.0f} s")
    for model, jobs in backlog.set_aside.items():
        text.append(f"\n{jobs} set aside for {harmless(model)}", "yellow")
    return text


def _scaler(reading: Overview) -> Text:
    desired, decision = reading.fleet.desired, reading.decision
    ready = sum(worker.activity == "ready" for worker in reading.fleet.workers)
    leader = reading.leader.holder if reading.leader else NO_LEADER
    text = Text(f"{ready} ready", "" if desired.size in (None, ready) else "yellow")
    if desired.size is not None:
        text.append(f" of {desired.size} wanted ({desired.mode})")
    text.append(f"; {leader}", "" if reading.leader else "yellow")
    if reading.leader and decision:
        text.append(f"\n{harmless(decision.reason)}")
        for flag in decision.flags:
            text.append(f" [{flag}]", "red")
    return text


def alerts_text(alerts: Sequence[Alert]) -> Text:
    if not alerts:
        return Text("no alert is active", "green")
    lines = (
        f"{alert.name} ({alert.severity}) since {local_time(alert.since)}:"
        f" {harmless(alert.description)}"
        for alert in alerts
    )
    return Text("\n".join(lines), "bold red")


def _latencies(reading: Overview) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("seconds, last minute", style="dim")
    for percent in PERCENTS:
        table.add_column(f"p{percent}", justify="right")
    table.add_column("SLO", justify="right", style="dim")
    first = percentiles(reading.recent.ttft_s)
    slo = reading.slo_latency_s
    table.add_row("first token", *(_seconds(each, slo) for each in first), f"{slo:g}")
    whole = percentiles(reading.recent.e2e_s)
    bound = f"{slo:g} + {reading.slo_tpot_s:g} a token"
    table.add_row("whole answer", *(_seconds(each, None) for each in whole), bound)
    counts = reading.fleet.counts
    if jobs := counts.get("slo", 0):
        share = counts.get("slo_good", 0) / jobs
        table.add_row(f"good: {share:.2%} of {jobs} jobs since counting began")
    return table


def _seconds(value: float | None, slo_s: float | None) -> Text:
    if value is None:
        return Text("-", "dim")
    late = slo_s is not None and value > slo_s
    return Text(f"{value:.2f}", "bold red" if late else "")


def _ready(reading: Overview) -> Iterator[dict[str, Text]]:
    for worker in reading.fleet.workers:
        yield _row(worker.name, worker.activity, worker.age_s) | _work(worker)


def _work(worker: WorkerState) -> dict[str, Text]:
    stats = worker.stats
    busy = stats.output_tokens / stats.busy_s if stats.busy_s else 0.0
    return {
        "running": Text(f"{stats.running}/{stats.slots}"),
        "rows a step": Text(f"{stats.mean_batch_size:.1f}"),
        "tokens/busy s": Text(f"{busy:.0f}"),
        "engine": Text(worker.engine),
    }


def _starting(reading: Overview) -> Iterator[dict[str, Text]]:
    live = {worker.name for worker in reading.fleet.workers}
    for name, began in reading.starting.items():
        if name not in live:
            empty = dict.fromkeys(("running", "rows a step", "tokens/busy s", "engine"), Text("-"))
            yield _row(name, "starting", reading.fleet.backlog.at - began) | empty


def _row(name: str, state: str, age_s: float) -> dict[str, Text]:
    return {
        "id": Text(name),
        "state": Text(state, STYLES[state]),
        "age": Text(_age(age_s)),
    }


def _age(seconds: float) -> str:
    whole = int(max(0.0, seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def _named(values: Sequence[float | None]) -> dict[str, float | None]:
    return {f"p{percent}": value for percent, value in zip(PERCENTS, values, strict=True)}
