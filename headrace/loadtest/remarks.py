"""What must be known about the levels of a report beside their figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from headrace.loadtest.sheet import INVALID
from headrace.loadtest.sheets import level_name

Level = Mapping[str, Any]


def remarks(levels: Sequence[Level]) -> Sequence[tuple[str, str]]:
    """Lines with their weights, the weightiest first; what many levels share is said once."""
    return [(weight, line) for weight, say in SAYING.items() for line in _lines(levels, say)]


def _problems(level: Level) -> Iterator[str]:
    for problem in level["problems"]:
        yield f"not valid: {problem}"


def _errors(level: Level) -> Iterator[str]:
    for kind, count in level["errors"]["kinds"].items():
        message = level["errors"]["messages"].get(kind)
        yield f"{count} x {kind}" + (f": {message}" if message else "")


def _notes(level: Level) -> Iterator[str]:
    yield from level["notes"]


SAYING: Mapping[str, Callable[[Level], Iterator[str]]] = {
    "problem": _problems,
    "error": _errors,
    "note": _notes,
}


def _lines(levels: Sequence[Level], say: Callable[[Level], Iterator[str]]) -> Iterator[str]:
    about: dict[str, list[str]] = {}
    for level in levels:
        for text in say(level):
            about.setdefault(text, []).append(level_name(level).removesuffix(INVALID))
    for text, names in about.items():
        yield f"level{'' if len(names) == 1 else 's'} {', '.join(names)}: {text}"
