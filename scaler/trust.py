"""Whether a reading can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from math import isfinite

from scaler.readings import Load, Reading, Readings, Unknown
from scaler.rules import Rules


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why it cannot. `begins_anew`: it is sound in itself, and its totals count from zero again."""

    reason: str
    begins_anew: bool = False


def doubt(rules: Rules, last: Readings | None, reading: Reading, now: float) -> Doubt | None:
    """None: it can be believed. `now` is Redis TIME."""
    if isinstance(reading, Unknown):
        return Doubt(reading.reason)
    if not all(isfinite(number) and number >= 0 for number in _numbers(reading)):
        return Doubt("a reading is negative or no number")
    if now - reading.at > rules.stale_s:
        return Doubt(f"the readings are {now - reading.at:.0f} s old")
    if last is None:
        return None
    if _begins_anew(last, reading):
        return Doubt("Redis restarted or lost its data", begins_anew=True)
    return None if reading.at > last.at else Doubt("the readings are no newer than the last ones")


def _begins_anew(last: Readings, reading: Readings) -> bool:
    pairs = zip(_totals(last), _totals(reading), strict=True)
    return last.run_id != reading.run_id or any(after < before for before, after in pairs)


def _totals(reading: Readings) -> Iterator[float]:
    yield from (reading.arrived.jobs, reading.completed.jobs, reading.produced)
    yield from (reading.arrived.tokens, reading.completed.tokens)
    yield from (reading.steps.n, reading.steps.r, reading.steps.s)


def _numbers(reading: Readings) -> Iterator[float]:
    for load in (reading.waiting, reading.running, reading.arrived, reading.completed):
        yield from _parts(load)
    yield from astuple(reading.steps)
    yield from (reading.at, reading.oldest_wait_s, reading.produced, reading.p95_s or 0.0)
    yield from (member.age_s for member in reading.members)
    yield from reading.cold_starts_s


def _parts(load: Load) -> tuple[float, float]:
    return load.jobs, load.tokens
