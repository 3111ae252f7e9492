"""What keeps a fleet from harm: bounds, speed of growth, patience in shrinking."""

from __future__ import annotations

from dataclasses import replace
from math import floor

from scaler.crew import Crew
from scaler.memory import Memory
from scaler.readings import Readings
from scaler.rules import Rules
from scaler.want import Want


def bounded(rules: Rules, memory: Memory, reading: Readings, want: Want) -> Want:
    """Within the least and the most; the last worker goes only after `idle_s` of nothing."""
    least = max(rules.min_workers, 1)
    if _may_be_none(rules, memory, reading):
        least, want = rules.min_workers, replace(want, size=0, keep=0)
    most = min(rules.max_workers, memory.gain.limit or rules.max_workers)
    if want.size > most and most < rules.max_workers:
        want = replace(want, reason=f"more workers than {most} raised the throughput too little")
    size, keep = (min(max(number, least), most) for number in (want.size, want.keep))
    return replace(want, size=clamp(rules, size), keep=clamp(rules, max(size, keep)))


def _may_be_none(rules: Rules, memory: Memory, reading: Readings) -> bool:
    """Who has none starts none for nothing."""
    if memory.idle_since is None:
        return False
    return memory.size == 0 or reading.at - memory.idle_since >= rules.idle_s


def clamp(rules: Rules, size: int) -> int:
    return min(max(size, rules.min_workers), rules.max_workers)


def is_crash_loop(rules: Rules, reading: Readings) -> bool:
    recent = [death for death in reading.deaths if death > reading.at - rules.deaths_s]
    return len(recent) >= rules.deaths


def window_s(rules: Rules, crew: Crew) -> float:
    return max(rules.down_window_s, rules.down_cold_starts * crew.cold_start_s)


def grown(
    rules: Rules, memory: Memory, reading: Readings, present: int, want: Want
) -> tuple[int, str]:
    """The size of a fleet that is to grow, and why."""
    if is_crash_loop(rules, reading):
        return present, "no growth: workers die as they come"
    is_sure = want.urgent or want.size >= 2 * present or memory.ups + 1 >= rules.up_ticks
    if not is_sure:
        return present, f"waits for a second tick: {want.reason}"
    if memory.gain.ready and not memory.gain.paces and memory.ups < rules.pace_ticks:
        return present, f"waits until the first steps were seen: {want.reason}"
    base = min([present, *(before for _at, before in recent(rules, memory, reading.at))])
    step = max(rules.growth_workers, floor(rules.growth_share * base))
    if want.size > base + step:
        return max(present, base + step), f"grows in steps to {want.size}: {want.reason}"
    return want.size, want.reason


def shrunk(
    rules: Rules, memory: Memory, crew: Crew, reading: Readings, present: int, want: Want
) -> tuple[int, str]:
    """The size of a fleet of which less seems enough, and why."""
    limit = memory.gain.limit
    if limit is not None and present > limit:
        return limit, want.reason
    if want.size == 0 and present == 1:
        return 0, f"nothing happened for {rules.idle_s:.0f} s"
    if reading.at - memory.since < window_s(rules, crew):
        return present, "less would do, but for how long is not known yet"
    lowest = max(want.keep, memory.window.most)
    if lowest >= present:
        return present, f"keeps {present}: so many were wanted lately, or soon would be again"
    if any(before > present for _at, before in recent(rules, memory, reading.at)):
        return present, "shrinks in steps"
    return max(lowest, present - max(1, present // 2)), want.reason


def recent(rules: Rules, memory: Memory, at: float) -> tuple[tuple[float, int], ...]:
    """The changes of the last `growth_s`, each with the size before it."""
    return tuple(each for each in memory.sizes if each[0] > at - rules.growth_s)
