"""Whatever the order of calls, every engine answers right and leaks no slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from batcher.engine import Engine
from headrace.core.types import Delta, Request
from tests.unit.batcher.driving import MakeEngine, Output, a_request, run_alone

Asked = tuple[int, int, int | None]
"""Length of the prompt, most tokens of the output, alternatives of each."""


class Calls(RuleBasedStateMachine):
    """One engine for all runs: each leaves it as it found it. `solo` runs one request at a time."""

    engine: Engine
    solo: Engine
    expected: dict[Asked, Output]

    def __init__(self) -> None:
        super().__init__()
        self.empty = self.engine.room()
        self.slots = self.engine.stats().slots
        self.asked: dict[str, Asked] = {}
        self.outputs: dict[str, Output] = {}
        self.live: list[str] = []
        self.aborted: list[str] = []

    @rule(
        length=st.integers(1, 40),
        max_tokens=st.integers(1, 8),
        top=st.sampled_from([None, None, 2]),
    )
    def add(self, length: int, max_tokens: int, top: int | None) -> None:
        self._add(f"r{len(self.asked)}", (length, max_tokens, top), Output())

    @rule()
    def add_a_bad_one(self) -> None:
        self._add(f"r{len(self.asked)}", (0, 1, None), Output())

    @rule(steps=st.integers(1, 4))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self._take(self.engine.step())

    @rule(place=st.integers(0, 20))
    def abort(self, place: int) -> None:
        if not self.live:  # no precondition: how fast an engine is must not decide what is drawn
            return
        name = self.live.pop(place % len(self.live))
        self.engine.abort(name)
        self.aborted.append(name)

    @rule(place=st.integers(0, 20))
    def resume(self, place: int) -> None:
        if not self.aborted:
            return
        name = self.aborted.pop(place % len(self.aborted))
        self._add(f"r{len(self.asked)}", self.asked[name], self.outputs[name])

    @invariant()
    def every_slot_is_free_or_taken(self) -> None:
        room = self.engine.room()
        assert room.slots == max(0, self.slots - len(self.live))
        assert 0 <= room.tokens <= self.empty.tokens
        assert self.engine.stats().running == len(self.live)
        assert self.engine.is_idle == (not self.live)

    def teardown(self) -> None:
        while not self.engine.is_idle:
            self._take(self.engine.step())
        assert self.live == []
        assert self.engine.room() == self.empty
        for name, output in self.outputs.items():
            self._check(output, self.asked[name])

    def _add(self, name: str, asked: Asked, before: Output) -> None:
        self.asked[name] = asked
        self.outputs[name] = Output(list(before.ids), before.text, list(before.logprobs))
        self.live.append(name)
        self.engine.add(_request(name, asked), before.ids)

    def _take(self, deltas: Sequence[Delta]) -> None:
        places = [self.live.index(delta.request_id) for delta in deltas]
        assert places == sorted(set(places)), "not in the order of arrival"
        for delta in deltas:
            has_alternatives = self.asked[delta.request_id][2] is not None
            assert len(delta.token_ids) <= 1 or has_alternatives
            self.outputs[delta.request_id].absorb(delta)
            if delta.is_last:
                self.live.remove(delta.request_id)

    def _check(self, output: Output, asked: Asked) -> None:
        """What was not aborted got what it would get by itself, the rest a beginning of it."""
        if asked not in self.expected:
            self.expected[asked] = run_alone(self.solo, _request("solo", asked))
        expected = self.expected[asked]
        named = [entry.token_id for entry in output.logprobs]
        assert named == (output.ids if asked[2] is not None else [])
        if output.is_over:
            assert replace(output, logprobs=expected.logprobs) == expected
        else:
            assert output.ids == expected.ids[: len(output.ids)]
            assert expected.text.startswith(output.text)


def test_any_calls_in_any_order(make_local_engine: MakeEngine) -> None:
    parts = {"engine": make_local_engine(), "solo": make_local_engine(), "expected": {}}
    run_state_machine_as_test(
        type("CallsOfThisEngine", (Calls,), parts),
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def _request(name: str, asked: Asked) -> Request:
    length, max_tokens, alternatives = asked
    return a_request(name, range(20, 20 + length), max_tokens, logprobs=alternatives)
