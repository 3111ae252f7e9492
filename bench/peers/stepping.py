"""Runs on anything that is given requests and then stepped: ours, and OpenVINO called directly."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.engine_workloads import Prompt
from bench.peers.pipe import Answers, batch_reply, prompts_of

WARM_UP_STEPS = 4
BEFORE_STEPS = 16


@dataclass(frozen=True)
class Count:
    """Steps so far, and the rows that they advanced together."""

    steps: int
    rows: int


class Stepper(Protocol):
    def add(self, name: str, prompt: Prompt) -> None: ...

    def step(self) -> Mapping[str, int]:
        """New tokens of each request that got some. Raises `RuntimeError` where one failed."""

    def count(self) -> Count: ...

    def clear(self) -> None:
        """Drops every request."""


def answers(stepper: Stepper) -> Answers:
    return {
        "batch": lambda question: run_batch(stepper, prompts_of(question), question["concurrency"]),
        "interrupt": lambda question: interrupt(
            stepper, prompts_of(question), Prompt.decode(question["long"])
        ),
    }


def run_batch(stepper: Stepper, prompts: Sequence[Prompt], concurrency: int) -> dict[str, Any]:
    """Keeps `concurrency` requests under way until all were added; the next enters when one ends.

    The occupancy is that of the steps while requests waited, None where none did.
    """
    waiting = deque(enumerate(prompts))
    left: dict[str, int] = {}
    first = full = stepper.count()
    started = time.perf_counter()
    while waiting or left:
        while waiting and len(left) < concurrency:
            number, prompt = waiting.popleft()
            left[str(number)] = prompt.output_tokens
            stepper.add(str(number), prompt)
            full = stepper.count()
        _take(left, stepper.step())
    seconds = time.perf_counter() - started
    slots = (full.steps - first.steps) * concurrency
    return batch_reply(
        prompts,
        seconds,
        steps=stepper.count().steps - first.steps,
        occupancy=(full.rows - first.rows) / slots if slots else None,
    )


def interrupt(stepper: Stepper, rows: Sequence[Prompt], long: Prompt) -> dict[str, Any]:
    """Gaps between the tokens of decoding rows, before a long prompt comes and until it is read.

    Raises `RuntimeError` where a row ends meanwhile.
    """
    start_decoding(stepper, rows)
    names = [str(number) for number in range(len(rows))]
    before = _Gaps(names)
    for _step in range(BEFORE_STEPS):
        before.take(stepper.step())
    during = before.go_on()
    stepper.add("long", long)
    while not during.take(stepper.step()).get("long"):
        pass
    stepper.clear()
    return {
        "before_s": statistics.median(before.gaps),
        "during_p95_s": statistics.quantiles(during.gaps, n=20, method="inclusive")[-1],
        "during_most_s": max(during.gaps),
    }


def start_decoding(stepper: Stepper, rows: Sequence[Prompt]) -> None:
    """Adds the rows, reads their prompts, and decodes a few steps."""
    unread = {str(number) for number in range(len(rows))}
    for number, prompt in enumerate(rows):
        stepper.add(str(number), prompt)
    while unread:
        unread -= {name for name, tokens in stepper.step().items() if tokens}
    for _step in range(WARM_UP_STEPS):
        stepper.step()


class _Gaps:
    """Seconds between the tokens of some requests, from its making on."""

    def __init__(self, names: Sequence[str], last: Mapping[str, float] | None = None) -> None:
        now = time.perf_counter()
        self.gaps: list[float] = []
        self._last = dict(last or dict.fromkeys(names, now))

    def take(self, tokens: Mapping[str, int]) -> Mapping[str, int]:
        now = time.perf_counter()
        for name in self._last.keys() & {name for name, count in tokens.items() if count}:
            self.gaps.append(now - self._last[name])
            self._last[name] = now
        return tokens

    def go_on(self) -> _Gaps:
        """Another one, whose first gaps begin with the last tokens of this one."""
        return _Gaps(list(self._last), self._last)


def _take(left: dict[str, int], tokens: Mapping[str, int]) -> None:
    for name, count in tokens.items():
        left[name] -= count
        if left[name] == 0:
            del left[name]
