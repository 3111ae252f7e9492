"""Service levels by name: what counts as a good answer, and how to write one down.

The SLO of the settings is one of them, under the name `slo`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.core.errors import InvalidRequest
from headrace.loadtest.record import Record

UNNAMED = "custom"
"""The service level of bounds that are given without a name."""

NAME = re.compile(r"[a-z_][a-z0-9_-]*")
ENDS = ("low", "high")
"""The ends of an interval in an assertion, so no names."""

BOUNDS = ("ttft", "tpot", "e2e")


class ServiceLevel(Protocol):
    """What the answers of one class of users have to keep to."""

    @property
    def name(self) -> str: ...

    def allows(
        self,
        e2e_s: float,
        ttft_s: float | None,
        output_tokens: float,
        tpot_s: float | None = None,
    ) -> bool:
        """Judges an answer that succeeded; times in s, None where they are unknown."""

    def describe(self) -> dict[str, Any]: ...

    def __str__(self) -> str:
        """Says in words what is good."""


def is_met(level: ServiceLevel, record: Record) -> bool:
    """Judges a request; one that failed meets nothing."""
    if not record.succeeded:
        return False
    return level.allows(record.e2e_s, record.ttft_s, record.output_tokens, record.known_tpot_s)


@dataclass(frozen=True)
class Bounds:
    """An answer is good when it keeps to all bounds that are given, each in s."""

    name: str
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None

    def allows(
        self,
        e2e_s: float,
        ttft_s: float | None,
        output_tokens: float,
        tpot_s: float | None = None,
    ) -> bool:
        """Judges an unknown time as too long; an answer of one token has no TPOT to judge."""
        if output_tokens < 2:
            tpot_s = 0.0
        pairs = ((ttft_s, self.ttft_s), (tpot_s, self.tpot_s), (e2e_s, self.e2e_s))
        return all((math.inf if time is None else time) <= _limit(most) for time, most in pairs)

    def describe(self) -> dict[str, Any]:
        return {"ttft_s": self.ttft_s, "tpot_s": self.tpot_s, "e2e_s": self.e2e_s}

    def __str__(self) -> str:
        bounds = {"TTFT": self.ttft_s, "TPOT": self.tpot_s, "e2e": self.e2e_s}
        given = {name: most for name, most in bounds.items() if most is not None}
        return ", ".join(f"{name} <= {most * 1000:g} ms" for name, most in given.items())


def _limit(most: float | None) -> float:
    return math.inf if most is None else most


def parse_service_levels(texts: Sequence[str]) -> Sequence[Bounds]:
    """Reads `ttft:500` and `chat=ttft:500,tpot:50`; bounds in ms.

    Texts of one name are one service level. Raises `InvalidRequest`.
    """
    found: dict[str, dict[str, float]] = {}
    for text in texts:
        name, given = _named(text)
        bounds = found.setdefault(name, {})
        for bound, most_s in _bounds(text, given):
            if bound in bounds:
                raise InvalidRequest(f"--goodput: {text!r}: {name} has two bounds of {bound}")
            bounds[bound] = most_s
    return [Bounds(name, **_fields(bounds)) for name, bounds in found.items()]


def _named(text: str) -> tuple[str, str]:
    name, equals, given = text.partition("=")
    if not equals:
        return UNNAMED, text
    if name == "slo":
        raise InvalidRequest("--goodput: slo is the name of --slo-latency-s and --slo-tpot-s")
    if not NAME.fullmatch(name) or name in ENDS:
        raise InvalidRequest(
            f"--goodput: {text!r}: a name is of a-z, 0-9, _ and -, not low or high"
        )
    return name, given


def _bounds(text: str, given: str) -> list[tuple[str, float]]:
    return [_bound(text, each) for each in given.split(",")]


def _bound(text: str, each: str) -> tuple[str, float]:
    bound, _, number = each.strip().partition(":")
    if bound not in BOUNDS:
        raise InvalidRequest(f"--goodput: {text!r}: bounds are ttft, tpot and e2e, as ttft:500")
    try:
        most_ms = float(number)
    except ValueError:
        most_ms = math.nan
    if not 0 < most_ms < math.inf:
        raise InvalidRequest(f"--goodput: {text!r}: {bound} is a number of ms above 0")
    return bound, most_ms / 1000


def _fields(bounds: Mapping[str, float]) -> dict[str, float]:
    return {f"{bound}_s": most_s for bound, most_s in bounds.items()}
