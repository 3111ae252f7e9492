"""Alternatives: bounded work a step, fair shares, and what becomes of a model that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from batcher.generation import Generation
from batcher.openvino_engine.alternatives import KEPT_S, STEP_TOKENS, Alternatives, _shares
from batcher.openvino_engine.likeliest import token_logprobs
from batcher.openvino_engine.paged_model import Chunk
from headrace.core.errors import ModelError
from headrace.core.types import Delta
from tests.fakes import CARD
from tests.unit.batcher.driving import a_request
from tests.waiting import eventually

VOCABULARY = 300


class FakeModel:
    """Finds behind each id the next number likeliest; keeps the sizes of its chunks."""

    def __init__(self, error: Exception | None = None) -> None:
        self.read: list[list[int]] = []
        self.blocks: list[list[int]] = []
        self._error = error

    def logits(self, chunks: Sequence[Chunk]) -> NDArray[Any]:
        if self._error is not None:
            raise self._error
        self.read.append([len(chunk.ids) for chunk in chunks])
        self.blocks += [list(chunk.blocks) for chunk in chunks]
        ids = [token_id for chunk in chunks for token_id in chunk.ids]
        return np.eye(VOCABULARY, dtype=np.float32)[[token_id + 1 for token_id in ids]]


class Loader:
    """Loads models, or fails; counts how often."""

    def __init__(self, error: Exception | None = None, model: FakeModel | None = None) -> None:
        self.model = model or FakeModel()
        self.loads = 0
        self._error = error

    def __call__(self) -> Any:
        self.loads += 1
        if self._error is not None:
            raise self._error
        return self.model


@contextmanager
def alternatives_of(
    load: Loader, blocks: int = 100, now: Callable[[], float] = lambda: 0.0
) -> Iterator[Alternatives]:
    alternatives = Alternatives(load, blocks, now)
    try:
        yield alternatives
    finally:
        alternatives.close()


def begin(alternatives: Alternatives, name: str, prompt: int, max_tokens: int = 8) -> Generation:
    request = a_request(name, range(1, 1 + prompt), max_tokens, logprobs=2)
    generation = Generation(request, CARD)
    alternatives.follow(generation)
    return generation


def complete(alternatives: Alternatives, deltas: Sequence[Delta] = ()) -> list[Delta]:
    """The first that is given out; the model is loaded beside the steps."""
    found: list[Delta] = []

    def step(waiting: list[Delta]) -> bool:
        found.extend(alternatives.complete([*waiting]))
        waiting.clear()
        return bool(found)

    waiting = list(deltas)
    eventually(lambda: step(waiting))
    return found


def test_a_delta_waits_for_the_alternatives_of_its_token() -> None:
    load = Loader()
    with alternatives_of(load) as alternatives:
        generation = begin(alternatives, "a", prompt=3)
        [delta] = complete(alternatives, [generation.accept(4)])

    assert delta.token_ids == (4,)
    assert [(e.token_id, [i for i, _ in e.top]) for e in delta.logprobs or ()] == [(4, [4, 0])]
    assert load.model.read == [[3]]


def test_the_deltas_of_others_pass_at_once() -> None:
    with alternatives_of(Loader()) as alternatives:
        begin(alternatives, "a", prompt=3)
        other = Generation(a_request("other", [1], logprobs=0), CARD)
        alternatives.follow(other)
        delta = other.accept(2)

        assert alternatives.complete([delta]) == [delta]
        assert not alternatives.holds("other")


def test_a_long_prompt_is_read_in_bounded_chunks_beside_others() -> None:
    load = Loader()
    with alternatives_of(load) as alternatives:
        long, short = begin(alternatives, "long", 150), begin(alternatives, "short", 5)
        first = complete(alternatives, [long.accept(7), short.accept(6)])
        rest = complete(alternatives)

    assert [delta.request_id for delta in first] == ["short"]
    assert [delta.request_id for delta in rest] == ["long"]
    assert all(sum(chunks) <= STEP_TOKENS for chunks in load.model.read)
    assert sum(map(sum, load.model.read)) == 155


def test_tokens_that_came_while_a_prompt_was_read_are_given_out_together() -> None:
    with alternatives_of(Loader()) as alternatives:
        generation = begin(alternatives, "a", prompt=3)
        deltas = [generation.accept(token_id) for token_id in (4, 5, 6)]
        [delta] = complete(alternatives, deltas)

    assert delta.token_ids == (4, 5, 6)
    assert [entry.token_id for entry in delta.logprobs or ()] == [4, 5, 6]


def test_who_finds_no_room_waits_and_no_two_share_a_block() -> None:
    load = Loader()
    with alternatives_of(load, blocks=5) as alternatives:
        asking = [begin(alternatives, name, prompt=60, max_tokens=4) for name in "abc"]
        deltas = [generation.accept(61) for generation in asking]
        served = [delta.request_id for delta in complete(alternatives, deltas)]
        assert "c" not in served
        alternatives.drop("a")
        while "c" not in served:
            served += [delta.request_id for delta in complete(alternatives)]

    assert all(len(blocks) == 2 for blocks in load.model.blocks)
    assert {block for blocks in load.model.blocks for block in blocks} == {0, 1, 2, 3}


def test_answers_that_outgrow_the_cache_read_again_and_miss_nothing() -> None:
    load, names = Loader(), "abc"
    with alternatives_of(load, blocks=8) as alternatives:  # one whole answer, and a half
        asking = {}
        for name in names:
            rules = {"logprobs": 2, "expected_tokens": 8}
            generation = Generation(a_request(name, range(1, 31), 120, **rules), CARD)
            alternatives.follow(generation)
            asking[name] = generation
        made: dict[str, list[int]] = {name: [] for name in names}
        for token_id in range(31, 151):
            deltas = [generation.accept(token_id) for generation in asking.values()]
            take(alternatives, made, deltas)
        eventually(lambda: take(alternatives, made, []) == 3 * 120)

    assert made == {name: [*range(31, 151)] for name in names}


def take(alternatives: Alternatives, made: dict[str, list[int]], brought: Sequence[Delta]) -> int:
    """Completes what a step brought, as an engine does; returns how many tokens there are."""
    for delta in alternatives.complete(brought):
        assert tuple(entry.token_id for entry in delta.logprobs or ()) == delta.token_ids
        made[delta.request_id] += delta.token_ids
        if delta.is_last:
            alternatives.drop(delta.request_id)
    return sum(map(len, made.values()))


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (ModelError("cannot run"), False),
        (RuntimeError("Could not find a primitive"), False),
        (RuntimeError("bad_alloc"), True),
        (MemoryError("0.1 GB are free"), True),
    ],
)
@pytest.mark.parametrize("fails", ["load", "forward"])
def test_a_model_that_fails_ends_those_that_ask_and_is_loaded_anew(
    error: Exception, may_pass: bool, fails: str
) -> None:
    load = Loader(error) if fails == "load" else Loader(model=FakeModel(error))
    with alternatives_of(load) as alternatives:
        for loads in (1, 2):
            generation = begin(alternatives, "a", prompt=3)
            [delta] = complete(alternatives, [generation.accept(4)])

            assert str(error) in str(delta.error)
            assert delta.may_pass == may_pass
            assert load.loads == loads
            assert not alternatives.holds("a")


def test_the_model_is_freed_when_nobody_has_asked_for_a_while() -> None:
    load, time = Loader(), [0.0]
    with alternatives_of(load, now=lambda: time[0]) as alternatives:
        for loads, pause_s in ((1, KEPT_S - 1), (1, KEPT_S + 1), (2, 0)):
            generation = begin(alternatives, "a", prompt=3)
            complete(alternatives, [generation.accept(4)])
            assert load.loads == loads
            alternatives.drop("a")
            time[0] += pause_s
            alternatives.complete([])


@given(st.lists(st.integers(1, 500), min_size=1, max_size=200))
def test_shares_are_bounded_and_use_what_there_is(unread: list[int]) -> None:
    shares = _shares(unread)

    assert len(shares) == len(unread)
    assert sum(shares) == min(STEP_TOKENS, sum(unread))
    assert all(0 <= share <= ids for share, ids in zip(shares, unread, strict=True))
    if len(unread) <= STEP_TOKENS:
        assert min(shares) >= 1


@given(
    st.lists(st.sampled_from([-3.0, 0.0, 0.5, 9.0]), min_size=1, max_size=30), st.integers(1, 20)
)
def test_the_likeliest_come_first_and_equals_by_rising_id(values: list[float], count: int) -> None:
    entry = token_logprobs(np.array(values, np.float32), 0, count)

    order = sorted(range(len(values)), key=lambda token_id: (-values[token_id], token_id))
    assert [token_id for token_id, _logprob in entry.top] == order[:count]
    assert sum(np.exp([value for _, value in entry.top])) <= 1.00001
    expected = values[0] - np.log(np.exp(np.array(values)).sum())
    assert entry.logprob == pytest.approx(expected, abs=1e-5)
