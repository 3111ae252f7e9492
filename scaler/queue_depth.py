"""The law `queue-depth`: so many jobs for each worker, those that run among them."""

from __future__ import annotations

from math import ceil

from scaler.crew import Crew
from scaler.memory import Memory
from scaler.readings import Readings
from scaler.rules import Rules
from scaler.want import Want


def want(rules: Rules, memory: Memory, crew: Crew, reading: Readings) -> Want:
    jobs = reading.waiting.jobs + reading.running.jobs
    size = ceil(jobs / rules.jobs_per_worker)
    reason = f"{jobs} jobs wait or run, {rules.jobs_per_worker:g} for each worker"
    return Want(size, size, reason)
