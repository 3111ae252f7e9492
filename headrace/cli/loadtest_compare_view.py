"""How `headrace loadtest compare` shows what it found: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.loadtest.change import Change
from headrace.loadtest.comparison import ComparedLevel, Comparison

SCHEMA = "headrace.loadtest.comparison/1"
COLUMNS = ("level", "metric", "A", "B", "from A to B", "B is")
STYLES = {"slower": "red", "faster": "green", "equal": "", "unsure": "yellow"}
SAYS = {
    "slower": "B is slower",
    "faster": "B is faster",
    "equal": "B is equal",
    "unsure": "too few requests to tell",
    "not comparable": "A and B cannot be compared",
}


def as_record(comparison: Comparison) -> dict[str, Any]:
    return {"schema": SCHEMA, "verdict": comparison.verdict, **asdict(comparison)}


def view(comparison: Comparison) -> RenderableType:
    return Group(_table(comparison), Text(), *_lines(comparison), Text(SAYS[comparison.verdict]))


def _table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    for level in comparison.levels:
        for change in level.changes:
            table.add_row(level.level, *_cells(change), style=STYLES[change.status])
    return table


def _cells(change: Change) -> Iterator[str]:
    yield change.metric
    yield _value(change, change.a)
    yield _value(change, change.b)
    way, low, high = (_way(change, each) for each in (change.change, change.low, change.high))
    yield f"{way} {'points' if change.is_share else '%'} [{low} {high}]"
    yield change.status


def _value(change: Change, value: float) -> str:
    if change.is_share:
        return f"{value:.1%}"
    return f"{value:.2f}/s" if change.metric == "throughput" else f"{value * 1000:.2f} ms"


def _way(change: Change, value: float) -> str:
    return f"{(value if change.is_share else value - 1) * 100:+.1f}"


def _lines(comparison: Comparison) -> Iterator[Text]:
    for level in comparison.levels:
        yield from _level_lines(level)
    for side, names in (("A", comparison.only_in_a), ("B", comparison.only_in_b)):
        if names:
            yield Text(f"only in {side}: {', '.join(names)}", "yellow")
    for note in comparison.notes:
        yield Text(note, "dim")
    yield Text(
        f"[..] {comparison.confidence:.2%} interval; counts beyond {comparison.tolerance:.1%}; "
        "unsure: too few requests to tell",
        "dim",
    )


def _level_lines(level: ComparedLevel) -> Iterator[Text]:
    for problem in level.problems:
        yield Text(f"! level {level.level}: {problem}", "red")
    for metric, reason in level.not_compared.items():
        yield Text(f"level {level.level}: {metric} is not compared: {reason}", "dim")
