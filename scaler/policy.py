"""The policy: readings in, a number of workers out; a fold without clock, Redis or chance.

A law (`backlog_slo.py`, `queue_depth.py`, `latency.py`) says what it wants. What keeps a fleet from
harm is the same for all of them (`trust.py`, `guards.py`): what cannot be believed changes nothing,
growth has a speed, and a fleet shrinks only after a window in which less was enough all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from scaler import backlog_slo, guards, latency, queue_depth
from scaler.crew import Crew, find_crew
from scaler.decision import Decision
from scaler.memory import Memory
from scaler.observation import begin_anew, observe
from scaler.readings import Reading, Readings
from scaler.rules import PolicyName, Rules
from scaler.trust import Doubt, doubt
from scaler.want import Want

Law = Callable[[Rules, Memory, Crew, Readings], Want]

LAWS: Mapping[PolicyName, Law] = {
    "backlog-slo": backlog_slo.want,
    "queue-depth": queue_depth.want,
    "latency": latency.want,
}


def decide(rules: Rules, memory: Memory, reading: Reading, now: float) -> tuple[Decision, Memory]:
    """The next decision, and what to remember until then. `now` is Redis TIME."""
    trouble = doubt(rules, memory.last, reading, now)
    if trouble is not None or not isinstance(reading, Readings):
        return _hold(rules, memory, reading, trouble or Doubt("nothing was read"))
    memory = observe(rules, memory, reading)
    crew = find_crew(rules, reading, memory.size)
    want = LAWS[rules.policy](rules, memory, crew, reading)
    want = guards.bounded(rules, memory, reading, want)
    seconds = guards.window_s(rules, crew)
    memory = replace(memory, window=memory.window.after(reading.at, want.keep, seconds))
    present = crew.size if memory.size is None else memory.size
    if want.size > present:
        size, reason = guards.grown(rules, memory, reading, present, want)
    elif want.size < present:
        size, reason = guards.shrunk(rules, memory, crew, reading, present, want)
    else:
        size, reason = present, want.reason
    size = guards.clamp(rules, size)
    memory = _remember(rules, memory, reading, present, size, wants_more=want.size > present)
    return _decision(rules, memory, reading, want, size, reason), memory


def _hold(
    rules: Rules, memory: Memory, reading: Reading, trouble: Doubt
) -> tuple[Decision, Memory]:
    size = guards.clamp(rules, memory.size or 0)
    decision = Decision(size, f"held: {trouble.reason}", holds=True)
    if trouble.begins_anew and isinstance(reading, Readings):
        return decision, begin_anew(memory, reading)
    return decision, replace(memory, ups=0)


def _remember(
    rules: Rules, memory: Memory, reading: Readings, present: int, size: int, wants_more: bool
) -> Memory:
    sizes = guards.recent(rules, memory, reading.at)
    if size != present:
        sizes = (*sizes, (reading.at, present))
    return replace(memory, size=size, sizes=sizes, ups=memory.ups + 1 if wants_more else 0)


def _decision(
    rules: Rules, memory: Memory, reading: Readings, want: Want, size: int, reason: str
) -> Decision:
    return Decision(
        size,
        reason,
        slo_infeasible=want.slo_infeasible,
        crash_loop=guards.is_crash_loop(rules, reading),
        is_limited=memory.gain.limit is not None,
    )
