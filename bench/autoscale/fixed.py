"""What needs no policy: a number that stays, and an oracle that knows what will come."""

from __future__ import annotations

from math import ceil

import numpy as np

from bench.autoscale.trace import Floats, columns
from headrace.planning.machine import Machine
from headrace.planning.trace import Trace
from headrace.planning.view import View

SHARE = 0.7
"""Of what a worker can do; the rest is for chance."""

BIN_S = 10.0


class Oracle:
    """Has at every moment what the work of the next seconds needs, ordered a cold start before."""

    every_s = 2.0
    is_ours = True

    def __init__(self, trace: Trace, machine: Machine, cold_start_s: float) -> None:
        self._need = np.ceil(work_rates(trace, machine, BIN_S) / SHARE).astype(int)
        self._ahead_s = 1.1 * cold_start_s + BIN_S

    def size(self, view: View) -> int:
        first, last = (int(at // BIN_S) for at in (view.now, view.now + self._ahead_s))
        future = self._need[first : last + 1]
        return int(future.max()) if len(future) else 1


def work_rates(trace: Trace, machine: Machine, seconds: float) -> Floats:
    """Workers that the requests of each `seconds` occupy, were their slots full."""
    full_s = machine.curve.seconds(machine.slots, 0) / machine.slots
    arrivals, prompts, outputs = columns(trace)
    work = outputs * full_s + machine.curve.gamma * prompts
    edges = np.arange(0, trace.seconds + seconds, seconds)
    found: Floats = np.histogram(arrivals, edges, weights=work)[0] / seconds
    return found


def workers_at_first(trace: Trace, machine: Machine) -> int:
    """For the requests of the first minute."""
    return max(1, ceil(float(work_rates(trace, machine, 60.0)[0]) / SHARE))


def workers_at_peak(trace: Trace, machine: Machine) -> int:
    """For the fullest minute."""
    return max(1, ceil(float(work_rates(trace, machine, 60.0).max()) / SHARE))
