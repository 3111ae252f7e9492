"""Tables of what only some load tests have, from the levels of a report; pure.

Medians of repeated runs, goodput by name, turns of conversations, windows of a ramp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.loadtest.sheet import INVALID, UNSUPPORTED, Row, Sheet
from headrace.loadtest.slo import Slo

Level = Mapping[str, Any]


def level_name(level: Level) -> str:
    """The level, with the number of its run where it ran several times."""
    run = f" run {level['run']}" if level["runs"] > 1 else ""
    return f"{level['level']}{run}{'' if level['valid'] else INVALID}"


def sheets(levels: Sequence[Level], repeats: Sequence[Level]) -> Iterator[Sheet]:
    """Each fits a terminal of 80 columns."""
    yield from _medians(repeats)
    yield from _goodput(levels, repeats)
    turns = [_turn_row(level, turn) for level in levels for turn in level["turns"]]
    if turns:
        yield Sheet("by turn of a conversation, in s", turns)
    windows = [_window_row(level, window) for level in levels for window in level["windows"]]
    if windows:
        yield Sheet("over the ramp, latency in s", windows)


def _medians(repeats: Sequence[Level]) -> Iterator[Sheet]:
    if not repeats:
        return
    runs = max(level["runs"] for level in repeats)
    yield Sheet(f"medians of {runs} runs [95 %]", [_rates(level) for level in repeats])
    yield Sheet("latency in s, medians of runs", [_latencies(level) for level in repeats])
    if any("ttft.p50" in level["figures"] for level in repeats):
        yield Sheet("tokens in ms, medians of runs", [_tokens(level) for level in repeats])


def _rates(level: Level) -> Row:
    return {
        "level": level["level"] + ("" if level["valid"] else INVALID),
        "runs": f"{level['valid_runs']}/{level['runs']}",
        "req/s": _value(level, "throughput", digits=2),
        "tokens/s": _value(level, "output_tokens_per_s", digits=1),
        "good %": _value(level, f"goodput.{Slo.name}", scale=100, digits=1),
    }


def _latencies(level: Level) -> Row:
    names = {f"p{percent}": f"e2e.p{percent}" for percent in (50, 95, 99)}
    return {"level": level["level"], **{key: _value(level, name) for key, name in names.items()}}


def _tokens(level: Level) -> Row:
    names = {"TTFT p50": "ttft.p50", "TTFT p95": "ttft.p95", "TPOT p50": "tpot.p50"}
    found = {key: _value(level, name, scale=1000, digits=1) for key, name in names.items()}
    return {"level": level["level"], **found}


def _value(level: Level, name: str, scale: float = 1, digits: int = 3) -> str:
    found = level["figures"].get(name)
    if found is None:
        return "-"
    text = f"{found['value'] * scale:.{digits}f}{'' if found['supported'] else UNSUPPORTED}"
    if found["low"] is None:
        return text
    return f"{text} [{found['low'] * scale:.{digits}f} {found['high'] * scale:.{digits}f}]"


def _goodput(levels: Sequence[Level], repeats: Sequence[Level]) -> Iterator[Sheet]:
    """Only where there is more than the SLO, which stands in the first table."""
    if not levels or set(levels[0]["goodput"]) <= {Slo.name}:
        return
    if repeats:
        rows = [_good_medians(level, name) for level in repeats for name in levels[0]["goodput"]]
        yield Sheet("goodput by name, medians of runs", rows)
        return
    rows = [
        {
            "level": level_name(level),
            "service level": name,
            "good %": f"{goodput['share'] * 100:.1f}",
            "good/s": f"{goodput['per_s']:.2f}",
        }
        for level in levels
        for name, goodput in level["goodput"].items()
    ]
    yield Sheet("goodput by name", rows)


def _good_medians(level: Level, name: str) -> Row:
    return {
        "level": level["level"],
        "service level": name,
        "good %": _value(level, f"goodput.{name}", scale=100, digits=1),
        "good/s": _value(level, f"goodput_per_s.{name}", digits=2),
    }


def _turn_row(level: Level, turn: Mapping[str, Any]) -> Row:
    return {"level": level_name(level), "turn": str(turn["turn"]), **_part(turn)}


def _window_row(level: Level, window: Mapping[str, Any]) -> Row:
    return {
        "level": level_name(level),
        "from s": f"{window['begin_s']:.1f}",
        "load": f"{window['load']:.1f}",
        "in flight": f"{window['in_flight']:.1f}",
        "req/s": f"{window['throughput_per_s']:.2f}",
        **{key: text for key, text in _part(window).items() if key != "tokens in"},
    }


def _part(part: Mapping[str, Any]) -> Row:
    tokens, cached = part["input_tokens"], part["cached_share"]
    return {
        "sent": str(part["requests"]),
        "errors": str(part["errors"]),
        "tokens in": "-" if tokens is None else f"{tokens:.0f}",
        **({} if cached is None else {"cached %": f"{cached * 100:.0f}"}),
        "p50": _time(part["e2e_s"], "p50"),
        "p95": _time(part["e2e_s"], "p95"),
        "TTFT p50": _time(part["ttft_s"], "p50"),
        "p95 ": _time(part["ttft_s"], "p95"),
        "good %": f"{part['good'][Slo.name] * 100:.1f}",
    }


def _time(times: Mapping[str, float], percent: str) -> str:
    return f"{times[percent]:.3f}" if percent in times else "-"
