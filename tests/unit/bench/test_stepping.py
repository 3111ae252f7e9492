from __future__ import annotations

from collections.abc import Mapping

import pytest

from bench.engine_workloads import Prompt
from bench.peers.stepping import Count, interrupt, run_batch


class Clockwork:
    """Reads one prompt a step, and gives every request that was read a token a step."""

    def __init__(self, slots: int) -> None:
        self.most_under_way = 0
        self._slots = slots
        self._left: dict[str, int] = {}
        self._count = Count(0, 0)

    def add(self, name: str, prompt: Prompt) -> None:
        self._left[name] = prompt.output_tokens
        self.most_under_way = max(self.most_under_way, len(self._left))

    def step(self) -> Mapping[str, int]:
        rows = list(self._left)[: self._slots]
        self._count = Count(self._count.steps + 1, self._count.rows + len(rows))
        for name in rows:
            self._left[name] -= 1
        self._left = {name: left for name, left in self._left.items() if left}
        return dict.fromkeys(rows, 1)

    def count(self) -> Count:
        return self._count

    def clear(self) -> None:
        self._left.clear()


def _prompts(*outputs: int) -> list[Prompt]:
    return [Prompt((1, 2), output_tokens) for output_tokens in outputs]


def test_the_next_request_enters_when_one_ends() -> None:
    stepper = Clockwork(slots=2)

    reply = run_batch(stepper, _prompts(1, 4, 2, 1), concurrency=2)

    assert stepper.most_under_way == 2
    assert (reply["output_tokens"], reply["prompt_tokens"], reply["steps"]) == (8, 8, 4)


def test_the_occupancy_is_that_of_the_steps_while_requests_waited() -> None:
    assert run_batch(Clockwork(slots=2), _prompts(1, 4, 2, 1), 2)["occupancy"] == 1.0
    assert run_batch(Clockwork(slots=1), _prompts(1, 4, 2, 1), 2)["occupancy"] == 0.5


def test_nobody_waited_where_all_entered_at_once() -> None:
    assert run_batch(Clockwork(slots=4), _prompts(3, 3), 4)["occupancy"] is None


def test_an_interruption_leaves_nothing_behind() -> None:
    stepper = Clockwork(slots=4)

    reply = interrupt(stepper, _prompts(100, 100), Prompt((1,) * 50, 1))

    assert set(reply) == {"before_s", "during_p95_s", "during_most_s"}
    assert 0 < reply["during_p95_s"] <= reply["during_most_s"]
    assert stepper.step() == {}


@pytest.mark.parametrize("outputs", [(1,), (5, 2, 9)])
def test_every_token_that_was_asked_for_is_counted(outputs: tuple[int, ...]) -> None:
    reply = run_batch(Clockwork(slots=8), _prompts(*outputs), 8)

    assert reply["output_tokens"] == sum(outputs)
    assert reply["steps"] == max(outputs)
