from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bench.engine_workloads import Prompt
from bench.peers.stepping import interrupt, run_batch
from bench.peers.vllm_engine import VllmStepper


@dataclass
class FakeEngine:
    """Gives every request one token a step, as vLLM reports what is new."""

    left: dict[str, int] = field(default_factory=dict)

    def add_request(self, name: str, prompt: dict[str, list[int]], rules: int) -> None:
        assert prompt["prompt_token_ids"]
        self.left[name] = rules

    def abort_request(self, names: list[str]) -> None:
        for name in names:
            del self.left[name]

    def has_unfinished_requests(self) -> bool:
        return bool(self.left)

    def step(self) -> list[Any]:
        self.left = {name: left - 1 for name, left in self.left.items()}
        outputs = [
            SimpleNamespace(
                request_id=name, finished=not left, outputs=[SimpleNamespace(token_ids=[7])]
            )
            for name, left in self.left.items()
        ]
        self.left = {name: left for name, left in self.left.items() if left}
        return outputs


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def stepper(engine: FakeEngine) -> VllmStepper:
    return VllmStepper(engine, rules=lambda output_tokens: output_tokens)


def test_a_batch_runs_until_every_output_has_its_length(stepper: VllmStepper) -> None:
    reply = run_batch(stepper, [Prompt((1, 2), tokens) for tokens in (1, 4, 2)], 2)

    assert (reply["output_tokens"], reply["steps"]) == (7, 4)


def test_an_interruption_leaves_nothing_behind(stepper: VllmStepper, engine: FakeEngine) -> None:
    interrupt(stepper, [Prompt((1,), 100), Prompt((2,), 100)], Prompt((3,) * 50, 1))

    assert not engine.has_unfinished_requests()


def test_a_step_without_requests_is_an_error(stepper: VllmStepper) -> None:
    with pytest.raises(RuntimeError, match="none left"):
        stepper.step()
