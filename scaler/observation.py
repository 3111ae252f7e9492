"""What a reading adds to the memory."""

from __future__ import annotations

from dataclasses import replace

from scaler.gain import Gain
from scaler.memory import Memory
from scaler.readings import Load, Readings
from scaler.rules import Rules


def begin_anew(memory: Memory, reading: Readings) -> Memory:
    """Totals count from zero: only the size and what is known of a worker's speed stay."""
    return Memory(memory.size, reading, reading.at, work=memory.work)


def observe(rules: Rules, memory: Memory, reading: Readings) -> Memory:
    """`reading` is newer than the last one, and of the same count."""
    last = memory.last
    ready = sum(member.phase == "ready" for member in reading.members)
    if last is None:
        idle_since = _idle_since(memory, reading, Load())
        gain = Gain(ready, since=reading.at)
        return replace(memory, last=reading, since=reading.at, gain=gain, idle_since=idle_since)
    is_settled = all(member.phase in ("ready", "drained") for member in reading.members)
    seconds = reading.at - last.at
    arrived = _added(last.arrived, reading.arrived)
    return replace(
        memory,
        last=reading,
        since=memory.since if seconds <= rules.gap_s else reading.at,
        arrivals=memory.arrivals.after(arrived, seconds, rules),
        work=memory.work.after(last, reading, rules),
        gain=memory.gain.after(
            rules, reading.at, ready, reading.steps.minus(last.steps), is_settled
        ),
        idle_since=_idle_since(memory, reading, arrived),
    )


def _idle_since(memory: Memory, reading: Readings, arrived: Load) -> float | None:
    if reading.waiting.jobs + reading.running.jobs > reading.canaries or arrived.jobs:
        return None
    return reading.at if memory.idle_since is None else memory.idle_since


def _added(before: Load, after: Load) -> Load:
    return Load(after.jobs - before.jobs, after.tokens - before.tokens)
