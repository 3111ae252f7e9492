"""A worker that is simulated: rows that share its steps."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import ceil

from headrace.planning.machine import Machine

PROMPT_CHUNK = 102.0
"""Prompt tokens of a step beside rows that decode: a fifth of `prefill_tokens`."""

NEVER = float("inf")

ROUNDING = 1e-6
"""Of a step: so little beyond its end counts as its end."""


class Worker:
    """Between two events the number of rows stays, so its steps are taken all at once.

    All rows gain one token a step; a step ends where `tokens` is a whole number, and there who has
    come enters. A prompt that enters delays all rows by the time of its reading, its first token
    among them. `sums` are those of `StepSums`.
    """

    __slots__ = (
        "at",
        "debt_s",
        "is_draining",
        "kill_at",
        "machine",
        "number",
        "ready_at",
        "restarts",
        "rows",
        "spawned_at",
        "step_s",
        "sums",
        "tokens",
        "version",
    )

    def __init__(
        self, number: int, now: float, ready_at: float, machine: Machine, sums: list[float]
    ) -> None:
        self.number = number
        self.spawned_at = self.at = now
        self.ready_at = ready_at
        self.machine = machine
        curve = machine.curve
        self.step_s = [curve.alpha + curve.beta * rows for rows in range(machine.slots + 1)]
        self.sums = sums
        self.rows: list[tuple[float, int]] = []  # Heap of (tokens at its end, job).
        self.tokens = 0.0  # A row that was here from the start would have so many.
        self.debt_s = 0.0  # Of prompts that are not read yet.
        self.version = 0
        self.restarts = 0
        self.is_draining = False
        self.kill_at = NEVER

    def advance(self, now: float) -> None:
        seconds, self.at = now - self.at, now
        rows = len(self.rows)
        if not rows or seconds <= 0:
            return
        if self.debt_s > 0:
            paid = min(self.debt_s, seconds)
            self.debt_s -= paid
            seconds -= paid
        step_s = self.step_s[rows]
        steps = seconds / step_s
        self.tokens += steps
        sums = self.sums
        sums[0] += steps
        sums[1] += steps * rows
        sums[3] += seconds
        sums[4] += steps * rows * rows
        sums[7] += rows * seconds

    def admit(self, job: int, prompt: float, output: float) -> float:
        """When it will have its first token. Call `advance` first."""
        if not self.rows:
            self.tokens = ceil(self.tokens)  # Nobody is in the middle of a step.
        wait = -(self.tokens - ROUNDING) % 1
        heapq.heappush(self.rows, (self.tokens + wait + output, job))
        gamma, rows = self.machine.curve.gamma, len(self.rows)
        read_s, chunk = gamma * prompt, min(prompt, PROMPT_CHUNK)
        self.debt_s += read_s
        sums = self.sums
        sums[2] += prompt
        sums[3] += read_s
        sums[5] += rows * prompt
        sums[6] += chunk * prompt
        sums[7] += rows * read_s
        sums[8] += prompt * (self.step_s[rows] + gamma * chunk)
        return self.at + self.debt_s + (wait + 1) * self.step_s[rows]

    def next_end(self) -> float:
        if not self.rows:
            return NEVER
        steps = max(0.0, self.rows[0][0] - self.tokens)
        return self.at + self.debt_s + steps * self.step_s[len(self.rows)]

    def pop_ended(self) -> Sequence[int]:
        """Call `advance` first."""
        ended = []
        while self.rows and self.rows[0][0] <= self.tokens + 2 * ROUNDING:
            ended.append(heapq.heappop(self.rows)[1])
        return ended

    def drop(self) -> list[tuple[int, float]]:
        """All jobs, each with the output tokens that it still lacks."""
        dropped = [(job, end - self.tokens) for end, job in self.rows]
        self.rows, self.debt_s = [], 0.0
        return dropped
