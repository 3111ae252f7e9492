from __future__ import annotations

import pytest

from batcher.generation import Generation
from batcher.torch_engine.scheduler import Plan, Scheduler
from batcher.torch_engine.slots import Slots
from headrace.core.model_card import ModelCard
from tests.unit.batcher.driving import a_request

ROOMY = 1000


class FakeMemory:
    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.copies: list[tuple[int, int, int]] = []
        self.scrubbed: list[int] = []

    def copy(self, source: int, target: int, tokens: int) -> None:
        self.copies.append((source, target, tokens))

    def swap(self, one: int, tokens_of_one: int, other: int, tokens_of_other: int) -> None:
        raise AssertionError("somebody waits: nothing is kept at a price")

    def scrub(self, slot: int, tokens: int) -> None:
        self.scrubbed.append(slot)

    def release(self, slot: int, tokens: int) -> None:
        """Nothing depends on it."""


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory(slots=4)


@pytest.fixture
def scheduler(memory: FakeMemory) -> Scheduler:
    return Scheduler(Slots(memory, keeps_prefixes=True), prefill_tokens=10, capacity=ROOMY)


@pytest.fixture
def prompts(card: ModelCard, scheduler: Scheduler) -> list[Generation]:
    """Prompts of 4, 5, 3 and 25 ids, all waiting."""
    return wait(
        scheduler, card, {"four": [4] * 4, "five": [5] * 5, "three": [3] * 3, "long": [25] * 25}
    )


def wait(scheduler: Scheduler, card: ModelCard, prompts: dict[str, list[int]]) -> list[Generation]:
    generations = [Generation(a_request(name, ids), card) for name, ids in prompts.items()]
    for generation in generations:
        scheduler.add(generation)
    return generations


def run(scheduler: Scheduler) -> Plan:
    """One step in which every row gets an id."""
    plan = scheduler.plan()
    scheduler.prefilled(plan)
    for row in plan.rows:
        row.accept(50)
    return plan


def chunks(plan: Plan) -> list[tuple[str, int, int, int]]:
    return [(c.generation.request.id, c.slot, c.start, c.stop) for c in plan.chunks]


def test_prompts_are_read_together_in_order_up_to_the_budget_and_short_ones_stay_whole(
    scheduler: Scheduler, prompts: list[Generation]
) -> None:
    plan = run(scheduler)
    assert chunks(plan) == [("four", 0, 0, 4), ("five", 1, 0, 5)]
    assert [row.request.id for row in plan.rows] == ["four", "five"]


@pytest.fixture
def crowded(card: ModelCard) -> Scheduler:
    """Eight rows decode, two prompts of 3 and 25 ids wait; a step may read 16."""
    slots = Slots(FakeMemory(slots=12), keeps_prefixes=True)
    scheduler = Scheduler(slots, prefill_tokens=16, capacity=ROOMY)
    wait(scheduler, card, {f"row{n}": [100 + n] for n in range(8)})
    run(scheduler)
    wait(scheduler, card, {"three": [3] * 3, "long": [25] * 25})
    return scheduler


def test_beside_eight_rows_two_waiting_prompts_get_a_quarter_of_the_budget(
    crowded: Scheduler,
) -> None:
    plan = run(crowded)
    assert chunks(plan) == [("three", 8, 0, 3), ("long", 11, 0, 1)]
    assert len(plan.rows) == 9


def test_a_longer_prompt_is_read_over_several_steps_in_the_highest_slot(
    crowded: Scheduler,
) -> None:
    run(crowded)
    plan = run(crowded)
    assert chunks(plan) == [
        ("long", 11, 1, 4)
    ]  # less than a quarter, though only one in nine waits
    while chunks(plan)[0][3] != 25:
        plan = run(crowded)
    assert [*run(crowded).decoding.values()] == [*range(9), 11]


def test_as_many_prompts_waiting_as_rows_decoding_get_the_whole_budget(
    scheduler: Scheduler, prompts: list[Generation]
) -> None:
    run(scheduler)
    assert chunks(run(scheduler)) == [("three", 2, 0, 3), ("long", 3, 0, 7)]


def test_with_nobody_decoding_a_long_prompt_gets_the_whole_budget(
    scheduler: Scheduler, prompts: list[Generation], memory: FakeMemory
) -> None:
    for prompt in prompts[:3]:
        scheduler.remove(prompt)
    assert [chunks(run(scheduler)) for _step in range(3)] == [
        [("long", 3, 0, 10)],
        [("long", 3, 10, 20)],
        [("long", 3, 20, 25)],
    ]
    assert memory.copies == []


def test_no_prompt_is_read_without_a_free_slot(card: ModelCard) -> None:
    slots = Slots(FakeMemory(slots=1), keeps_prefixes=True)
    scheduler = Scheduler(slots, prefill_tokens=10, capacity=ROOMY)
    first, _second = wait(scheduler, card, {"a": [40], "b": [40]})
    assert chunks(run(scheduler)) == [("a", 0, 0, 1)]
    assert chunks(run(scheduler)) == []
    scheduler.remove(first)
    assert chunks(run(scheduler)) == [("b", 0, 0, 1)]


def test_no_prompt_is_begun_that_the_cache_could_not_hold_to_its_end(
    card: ModelCard, memory: FakeMemory
) -> None:
    slots = Slots(memory, keeps_prefixes=True)
    scheduler = Scheduler(slots, prefill_tokens=10, capacity=40)
    first, *_others = wait(scheduler, card, {"a": [40] * 5, "b": [41] * 5, "c": [42] * 5})
    assert [name for name, *_rest in chunks(run(scheduler))] == ["a", "b"]
    assert chunks(run(scheduler)) == []
    scheduler.remove(first)
    assert [name for name, *_rest in chunks(run(scheduler))] == ["c"]


def test_the_last_row_needs_no_copy_to_leave(
    scheduler: Scheduler, prompts: list[Generation], memory: FakeMemory
) -> None:
    run(scheduler)
    scheduler.remove(prompts[1])
    assert memory.copies == []


def test_a_failed_row_leaves_a_clean_slot(
    scheduler: Scheduler, prompts: list[Generation], memory: FakeMemory
) -> None:
    run(scheduler)
    prompts[0].fail("not a number")
    scheduler.remove(prompts[0])
    assert memory.scrubbed == [0]
    assert memory.copies == [(1, 0, 6)]


def test_a_half_read_prompt_that_leaves_is_forgotten(
    scheduler: Scheduler, prompts: list[Generation], memory: FakeMemory
) -> None:
    run(scheduler)
    run(scheduler)
    scheduler.remove(prompts[3])
    assert memory.scrubbed == [3]
    assert chunks(run(scheduler)) == []


def test_prompts_that_begin_alike_wait_for_the_first_of_them_to_be_read(
    card: ModelCard, memory: FakeMemory
) -> None:
    slots = Slots(memory, keeps_prefixes=True)
    scheduler = Scheduler(slots, prefill_tokens=100, capacity=ROOMY)
    alike = [*range(20, 50)]
    first, second, third = wait(
        scheduler, card, {"a": [*alike, 1], "b": [*alike, 2], "c": [*alike, 3]}
    )
    assert chunks(run(scheduler)) == [("a", 0, 0, 31)]
    assert chunks(run(scheduler)) == [("b", 1, 30, 31), ("c", 2, 30, 31)]
    assert memory.copies == [(0, 1, 30), (0, 2, 30)]
    assert [row.cached_tokens for row in (first, second, third)] == [0, 30, 30]


def test_prompts_that_share_little_are_read_together(card: ModelCard, memory: FakeMemory) -> None:
    scheduler = Scheduler(Slots(memory, keeps_prefixes=True), prefill_tokens=200, capacity=ROOMY)
    alike = [*range(20, 40)]
    wait(scheduler, card, {"a": [*alike, *[1] * 60], "b": [*alike, *[2] * 60]})
    assert chunks(run(scheduler)) == [("a", 0, 0, 80), ("b", 1, 0, 80)]


def test_what_a_failed_forward_may_have_written_is_wiped(
    scheduler: Scheduler, prompts: list[Generation], memory: FakeMemory
) -> None:
    run(scheduler)
    plan = scheduler.plan()
    for row in [*plan.decoding, *(chunk.generation for chunk in plan.chunks)]:
        row.fail("out of memory")
        scheduler.remove(row)
    assert sorted(memory.scrubbed) == [0, 0, 1, 3]
    assert scheduler.plan().is_empty
