"""The figures for eyes: one table of levels, one of the server's stages, and legends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from headrace.loadtest.figures import Spread
from headrace.loadtest.quantiles import LEAST_FOR_P99
from headrace.loadtest.record import ALL_STAGES
from headrace.loadtest.remarks import remarks
from headrace.loadtest.report import level_records, repeat_records
from headrace.loadtest.result import Result
from headrace.loadtest.service_level import ServiceLevel
from headrace.loadtest.sheet import BY_SERVER, INVALID, UNSUPPORTED, Row, Sheet
from headrace.loadtest.sheets import sheets
from headrace.loadtest.slo import Slo

STYLES = {"error": "yellow", "note": "dim"}
MEANING = {"closed": "users", "open": "requests/s sent", "trace": "a trace"}


def drawn(results: Sequence[Result], service_levels: Sequence[ServiceLevel]) -> RenderableType:
    tables: list[RenderableType] = []
    for sheet in _sheets(results, service_levels):
        tables += [sheet.drawn(), Text()]
    notes = [Text(line, style=style) for line, style in _notes(results, service_levels)]
    return Group(*tables, *notes)


def markdown(results: Sequence[Result], service_levels: Sequence[ServiceLevel]) -> str:
    sheets = [sheet.markdown() for sheet in _sheets(results, service_levels)]
    return "\n\n".join(
        [*sheets, "\n".join(f"- {line}" for line, _ in _notes(results, service_levels))]
    )


def _sheets(results: Sequence[Result], service_levels: Sequence[ServiceLevel]) -> Iterator[Sheet]:
    """Each fits a terminal of 80 columns. Of levels that ran several times the medians suffice."""
    repeats = repeat_records(results, [each.name for each in service_levels])
    if not repeats:
        yield from _single(results)
    yield from sheets(level_records(results), repeats)


def _single(results: Sequence[Result]) -> Iterator[Sheet]:
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
        "good %": f"{figures.goodput[Slo.name].share * 100:.1f}",
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


def _notes(
    results: Sequence[Result], service_levels: Sequence[ServiceLevel]
) -> Iterator[tuple[str, str]]:
    """Lines below the tables, with their styles."""
    runs = max(result.run for result in results)
    for result in results:
        for problem in result.problems:
            yield f"{INVALID} level {_label(result, runs)} is not valid: {problem}", "red"
    yield "tokens/s: output; [..] 95 % interval; latency from the scheduled send", "dim"
    for level in service_levels:
        yield f"good{_of(level.name)}: {level}", "dim"
    shown = [each.figures for each in results]
    spreads = [spread for each in shown for spread in (each.e2e, each.ttft, each.tpot)]
    if any(spread and not spread.percentiles[99].supported for spread in spreads):
        yield f"{UNSUPPORTED} fewer than {LEAST_FOR_P99} answers: supports no claim", "dim"
    if any(spread and spread.source == "server" for spread in spreads):
        yield f"{BY_SERVER} as the server says", "dim"
    for weight, line in remarks(level_records(results)):
        if weight in STYLES:
            yield line, STYLES[weight]


def _label(result: Result, runs: int) -> str:
    return result.load.label + (f" run {result.run}" if runs > 1 else "")


def _of(name: str) -> str:
    return "" if name == Slo.name else f" {name}"
