from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.generation import Generation
from batcher.torch_engine.slots import LEAST_SHARED, NO_MATCH, Match, Slots, shared_tokens
from headrace.core.model_card import ModelCard
from tests.unit.batcher.driving import a_request

SYSTEM = [*range(40, 70)]


class FakeMemory:
    """Notes which ids stand in each slot, as copies would leave them."""

    def __init__(self, slots: int = 4) -> None:
        self.slots = slots
        self.held: list[list[int]] = [[] for _slot in range(slots)]

    def copy(self, source: int, target: int, tokens: int) -> None:
        self.held[target][:tokens] = self.held[source][:tokens]

    def swap(self, one: int, tokens_of_one: int, other: int, tokens_of_other: int) -> None:
        self.held[one], self.held[other] = (
            self.held[other][:tokens_of_other],
            self.held[one][:tokens_of_one],
        )

    def scrub(self, slot: int, tokens: int) -> None:
        self.held[slot][:tokens] = [0] * tokens

    def release(self, slot: int, tokens: int) -> None:
        del self.held[slot][tokens:]


class Bench:
    """Requests that are read and end, as a scheduler would have them."""

    def __init__(self, card: ModelCard, slots: int = 4) -> None:
        self.memory = FakeMemory(slots)
        self.slots = Slots(self.memory, keeps_prefixes=True)
        self._card = card

    def start(self, ids: Sequence[int], is_whole: bool = True) -> Match:
        """Reads a prompt into the next slot and makes its first token."""
        row = Generation(a_request("a", ids), self._card)
        match = self.slots.match(row.ids[:-1])
        slot = self.slots.begin(row, match, is_whole)
        assert self.memory.held[slot][: match.tokens] == row.ids[: match.tokens]
        self.memory.held[slot][match.tokens :] = row.ids[match.tokens :]
        row.read_tokens = len(row.ids)
        if is_whole:
            row.accept(99)
        self.assert_rows_hold_their_tokens()
        return match

    @property
    def rows(self) -> list[Generation]:
        return [*self.slots.rows]

    def end(self, place: int, keep: bool = True) -> None:
        self.slots.remove(self.rows[place], keep)
        self.assert_rows_hold_their_tokens()

    def finish_reading(self) -> None:
        for row in self.slots.taken:
            self.slots.end_reading(row)
            if not row.output_tokens:
                row.accept(99)

    def assert_rows_hold_their_tokens(self) -> None:
        for row, slot in self.slots.rows.items():
            assert self.memory.held[slot][: len(row.ids) - 1] == row.ids[:-1]


@pytest.fixture
def bench(card: ModelCard) -> Bench:
    return Bench(card)


def test_a_prompt_copies_what_a_running_row_begins_with(bench: Bench) -> None:
    assert bench.start([*SYSTEM, 1, 2]) == NO_MATCH
    assert bench.start([*SYSTEM, 3]) == Match(slot=0, tokens=30)


def test_a_prompt_copies_what_an_ended_row_left_over(bench: Bench) -> None:
    bench.start([*SYSTEM, 1])
    bench.end(0)
    assert bench.start([*SYSTEM, 2]) == Match(slot=0, tokens=30)


def test_the_output_of_an_ended_row_may_be_reused_too(bench: Bench) -> None:
    bench.start([*SYSTEM, 1])
    bench.rows[0].accept(98)
    bench.memory.held[0].append(99)
    bench.end(0)
    assert bench.start([*SYSTEM, 1, 99, 98, 5]).tokens == 32


def test_the_newest_id_of_a_row_is_not_in_the_cache_yet(bench: Bench) -> None:
    bench.start(SYSTEM)
    assert bench.start([*SYSTEM, 99, 5]).tokens == len(SYSTEM)


def test_a_whole_prompt_is_never_reused_for_its_last_id_has_to_be_read(bench: Bench) -> None:
    bench.start(SYSTEM)
    assert bench.start(SYSTEM).tokens == len(SYSTEM) - 1


def test_a_short_beginning_is_read_again(bench: Bench) -> None:
    bench.start([*range(LEAST_SHARED - 1), 70, 71])
    assert bench.start([*range(LEAST_SHARED - 1), 80, 81]) == NO_MATCH


def test_the_longest_of_several_matches_is_taken(bench: Bench) -> None:
    bench.start([*SYSTEM[:20], 1])
    bench.start([*SYSTEM, 2])
    assert bench.start([*SYSTEM, 3]) == Match(slot=1, tokens=30)


def test_prompts_that_take_turns_keep_each_other_s_beginnings(bench: Bench) -> None:
    other = [*range(100, 140)]
    for count in range(3):
        assert bench.start([*SYSTEM, count]).tokens == (30 if count else 0)
        bench.end(0)
        assert bench.start([*other, count]).tokens == (40 if count else 0)
        bench.end(0)


def test_the_oldest_leftover_is_the_first_to_go(bench: Bench) -> None:
    prompts = [[*range(base, base + 20), 7] for base in range(100, 200, 20)]
    for prompt in prompts:
        bench.start(prompt)
        bench.end(0)
    assert [bench.slots.match(prompt).tokens for prompt in prompts] == [0, 21, 21, 21, 21]


def test_rows_stay_compact_and_keep_their_tokens_when_one_leaves(bench: Bench) -> None:
    for first in (1, 2, 3):
        bench.start([first] * 20)
    bench.end(0)
    assert [row.ids[0] for row in bench.rows] == [3, 2]
    assert bench.start([1] * 25).tokens == 20


def test_with_others_waiting_nothing_is_swapped_for_a_leftover(bench: Bench) -> None:
    for first in (1, 2):
        bench.start([first] * 20)
    bench.end(0, keep=False)
    assert bench.slots.match([1] * 20) == NO_MATCH


def test_a_failed_row_leaves_a_clean_slot_and_no_leftover(bench: Bench) -> None:
    bench.start(SYSTEM)
    bench.rows[0].fail("not a number")
    bench.end(0)
    assert bench.memory.held[0] == []
    assert bench.slots.match(SYSTEM) == NO_MATCH


def test_leftovers_give_their_memory_back_where_it_is_needed(bench: Bench) -> None:
    for first in (1, 2):
        bench.start([first] * 20)
    bench.end(0)
    bench.end(0)
    bench.slots.trim(spare=20)
    assert bench.slots.match([1] * 21) == NO_MATCH
    assert bench.slots.match([2] * 21).tokens == 20
    assert sum(map(len, bench.memory.held)) == 20
    bench.slots.trim(spare=0)
    assert bench.memory.held == [[], [], [], []]


def test_without_prefix_caching_nothing_matches(card: ModelCard) -> None:
    bench = Bench(card)
    bench.slots = Slots(bench.memory, keeps_prefixes=False)
    bench.start(SYSTEM)
    assert bench.start(SYSTEM) == NO_MATCH


def test_long_prompts_stand_in_the_highest_slots(bench: Bench) -> None:
    bench.start([1] * 20)
    bench.start(SYSTEM, is_whole=False)
    assert [*bench.slots.taken.values()] == [0, 3]
    assert [*bench.slots.rows.values()] == [0]
    bench.finish_reading()
    assert [*bench.slots.rows.values()] == [0, 3]


def test_the_rows_are_one_object_until_one_comes_or_goes(bench: Bench) -> None:
    bench.start([1] * 20)
    rows = bench.slots.rows
    assert bench.slots.rows is rows
    bench.start(SYSTEM)
    assert [*bench.slots.rows.values()] == [0, 1]
    assert [*rows.values()] == [0]
    bench.end(0)
    assert [*bench.slots.rows.values()] == [0]


def test_every_generation_is_found_in_its_slot(bench: Bench) -> None:
    bench.start([1] * 20)
    bench.start(SYSTEM, is_whole=False)
    bench.start([2] * 20)
    for generation, slot in bench.slots.taken.items():
        assert generation in bench.slots
        assert bench.slots.slot_of(generation) == slot


def test_a_half_read_prompt_follows_when_the_zone_shrinks(bench: Bench) -> None:
    bench.start([1] * 20, is_whole=False)
    bench.finish_reading()
    bench.start(SYSTEM, is_whole=False)
    bench.end(0)
    assert [*bench.slots.taken.values()] == [3]
    assert bench.memory.held[3] == SYSTEM


def test_a_half_read_prompt_is_no_source_and_leaves_nothing_over(bench: Bench) -> None:
    bench.start(SYSTEM, is_whole=False)
    assert bench.slots.match([*SYSTEM, 1]) == NO_MATCH
    bench.slots.remove(next(iter(bench.slots.taken)), keep=True)
    assert bench.slots.match([*SYSTEM, 1]) == NO_MATCH
    assert bench.memory.held[3] == []


@given(
    prompts=st.lists(
        st.tuples(st.sampled_from([SYSTEM, SYSTEM[:18], [9] * 25]), st.integers(0, 5)), max_size=20
    )
)
def test_every_row_holds_its_own_tokens_whatever_comes_and_goes(
    card: ModelCard, prompts: list[tuple[list[int], int]]
) -> None:
    bench = Bench(card, slots=3)
    for beginning, tail in prompts:
        if len(bench.rows) == 3 or (bench.rows and tail == 0):
            bench.end(tail % len(bench.rows), keep=tail % 2 == 0)
        bench.start([*beginning, *range(tail), 5], is_whole=tail % 3 > 0)
        bench.finish_reading()
    while bench.rows:
        bench.end(0)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_shared_tokens_are_those_before_the_first_difference(
    one: list[int], other: list[int]
) -> None:
    expected = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        expected += 1
    assert shared_tokens(one, other) == expected
