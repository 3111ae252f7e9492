"""The figures for eyes: one table of levels, one of the server's stages, and legends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.loadtest.figures import Spread
from headrace.loadtest.quantiles import LEAST_FOR_P99
from headrace.loadtest.record import ALL_STAGES
from headrace.loadtest.result import Result
from headrace.loadtest.slo import Slo

INVALID, UNSUPPORTED, BY_SERVER = "!", "*", "~"
MEANING = {"closed": "users", "open": "requests/s sent", "trace": "a trace"}
Row = Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """A table before it is drawn; every row has the same columns."""

    title: str
    rows: Sequence[Row]

    def drawn(self) -> Table:
        table = Table(title=self.title, title_justify="left", title_style="bold", box=None)
        table.padding, table.pad_edge = (0, 1, 0, 0), False
        for name in self.rows[0]:
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            style = "red" if row["level"].endswith(INVALID) else ""
            table.add_row(*(_cell(text) for text in row.values()), style=style)
        return table

    def markdown(self) -> str:
        lines = [list(self.rows[0]), ["--:"] * len(self.rows[0])]
        lines += [list(row.values()) for row in self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def drawn(results: Sequence[Result], slo: Slo) -> RenderableType:
    tables: list[RenderableType] = []
    for sheet in _sheets(results):
        tables += [sheet.drawn(), Text()]
    notes = [Text(line, style=style) for line, style in _notes(results, slo)]
    return Group(*tables, *notes)


def markdown(results: Sequence[Result], slo: Slo) -> str:
    sheets = [sheet.markdown() for sheet in _sheets(results)]
    return "\n\n".join([*sheets, "\n".join(f"- {line}" for line, _ in _notes(results, slo))])


def _sheets(results: Sequence[Result]) -> Iterator[Sheet]:
    """Each fits a terminal of 80 columns."""
    loads = MEANING[results[0].load.kind]
    yield Sheet(f"level: {loads}", [_level_row(each, results[0]) for each in results])
    yield Sheet("latency in s, TPOT in ms", [_latency_row(each) for each in results])
    if any(result.figures.stages_s for result in results):
        yield Sheet("where the time goes (ms, p50/p95)", [_stage_row(each) for each in results])


def _level_row(result: Result, first: Result) -> Row:
    figures, ratios = result.figures, result.degradation(first)
    return {
        "level": _name(result),
        "requests": str(figures.requests),
        "errors": str(sum(figures.errors.values())),
        "req/s": f"{figures.throughput:.2f}",
        "tokens/s": f"{figures.output_tokens_per_s:.1f}",
        "batch": "-" if figures.batch_size is None else f"{figures.batch_size:.1f}",
        "good %": f"{figures.goodput * 100:.1f}",
        "p50 p95 vs first": f"{ratios[50]:.2f} {ratios[95]:.2f}" if ratios else "-",
    }


def _latency_row(result: Result) -> Row:
    figures = result.figures
    e2e, ttft = _texts(figures.e2e), _texts(figures.ttft)
    return {
        "level": _name(result),
        "p50": e2e[50] + _interval(figures.e2e),
        **{f"p{percent}": e2e[percent] for percent in (90, 95, 99)},
        "TTFT p50": ttft[50],
        "p95 ": ttft[95],
        "p99 ": ttft[99],
        "TPOT": _texts(figures.tpot, scale=1000, digits=1)[50],
    }


def _stage_row(result: Result) -> Row:
    row = {"level": _name(result)}
    for name in ALL_STAGES:
        values = result.figures.stages_s.get(name)
        row[name.replace("_", " ")] = f"{_ms(values[50])}/{_ms(values[95])}" if values else "-"
    return row


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 0.1 else f"{seconds * 1000:.0f}"


def _name(result: Result) -> str:
    return result.load.label + ("" if result.is_valid else INVALID)


def _texts(spread: Spread | None, scale: float = 1, digits: int = 3) -> dict[int, str]:
    if spread is None:
        return dict.fromkeys((50, 90, 95, 99), "-")
    seen = BY_SERVER if spread.source == "server" else ""
    return {
        percent: seen
        + f"{estimate.value * scale:.{digits}f}"
        + ("" if estimate.supported else UNSUPPORTED)
        for percent, estimate in spread.percentiles.items()
    }


def _interval(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f" [{spread.percentiles[50].low:.3f} {spread.percentiles[50].high:.3f}]"


def _cell(text: str) -> Text:
    return Text(text, style="dim" if text.endswith(UNSUPPORTED) else "")


def _notes(results: Sequence[Result], slo: Slo) -> Iterator[tuple[str, str]]:
    """Lines below the tables, with their styles."""
    for result in results:
        for problem in result.problems:
            yield f"{INVALID} level {result.load.label} is not valid: {problem}", "red"
    yield "tokens/s: output; [..] 95 % interval; latency from the scheduled send", "dim"
    yield (
        f"good: answered within {slo.latency_s:g} s + {slo.tpot_s:g} s a token, "
        f"begun within {slo.latency_s:g} s",
        "dim",
    )
    shown = [each.figures for each in results]
    spreads = [spread for each in shown for spread in (each.e2e, each.ttft, each.tpot)]
    if any(spread and not spread.percentiles[99].supported for spread in spreads):
        yield f"{UNSUPPORTED} fewer than {LEAST_FOR_P99} answers: supports no claim", "dim"
    if any(spread and spread.source == "server" for spread in spreads):
        yield f"{BY_SERVER} as the server says", "dim"
    for result in results:
        for kind, count in result.figures.errors.items():
            said = result.figures.messages.get(kind)
            what = f"{count} x {kind}" + (f": {said}" if said else "")
            yield f"level {result.load.label}: {what}", "yellow"
        for remark in result.remarks:
            yield f"level {result.load.label}: {remark}", "dim"
