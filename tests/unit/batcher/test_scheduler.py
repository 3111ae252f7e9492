from __future__ import annotations

import pytest

from batcher.generation import Generation
from batcher.torch_engine.scheduler import Plan, Scheduler
from headrace.core.model_card import ModelCard
from tests.unit.batcher.driving import a_request


class FakeSlots:
    def __init__(self) -> None:
        self.moves: list[tuple[int, int, int]] = []
        self.scrubbed: list[int] = []

    def move(self, source: int, target: int, length: int) -> None:
        self.moves.append((source, target, length))

    def scrub(self, slot: int) -> None:
        self.scrubbed.append(slot)


@pytest.fixture
def slots() -> FakeSlots:
    return FakeSlots()


@pytest.fixture
def scheduler(slots: FakeSlots) -> Scheduler:
    return Scheduler(slots=4, prefill_tokens=10, cache=slots)


@pytest.fixture
def prompts(card: ModelCard, scheduler: Scheduler) -> list[Generation]:
    """Prompts of 4, 5, 3 and 25 ids, all waiting."""
    sizes = {"four": 4, "five": 5, "three": 3, "long": 25}
    generations = [Generation(a_request(name, [40] * n), card) for name, n in sizes.items()]
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


def test_prompts_are_packed_in_order_up_to_the_budget_and_short_ones_stay_whole(
    scheduler: Scheduler, prompts: list[Generation]
) -> None:
    assert chunks(run(scheduler)) == [("four", 0, 0, 4), ("five", 1, 0, 5)]
    plan = run(scheduler)
    assert chunks(plan) == [("three", 2, 0, 3), ("long", 3, 0, 7)]
    assert [row.request.id for row in plan.rows] == ["four", "five", "three"]


def test_a_long_prompt_is_read_over_several_steps_while_rows_decode(
    scheduler: Scheduler, prompts: list[Generation], slots: FakeSlots
) -> None:
    run(scheduler)
    run(scheduler)
    scheduler.remove(prompts[0])
    assert slots.moves == [(2, 0, 4)]
    assert chunks(run(scheduler)) == [("long", 3, 7, 17)]
    plan = run(scheduler)
    assert chunks(plan) == [("long", 2, 17, 25)]
    assert slots.moves[1:] == [(3, 2, 17)]
    assert [row.request.id for row in plan.rows] == ["three", "five", "long"]


def test_no_prompt_is_read_without_a_free_slot(card: ModelCard, slots: FakeSlots) -> None:
    scheduler = Scheduler(slots=1, prefill_tokens=10, cache=slots)
    first, second = (Generation(a_request(name, [40]), card) for name in "ab")
    scheduler.add(first)
    scheduler.add(second)
    assert chunks(run(scheduler)) == [("a", 0, 0, 1)]
    assert chunks(run(scheduler)) == []
    scheduler.remove(first)
    assert chunks(run(scheduler)) == [("b", 0, 0, 1)]


def test_the_last_row_needs_no_move_to_leave(
    scheduler: Scheduler, prompts: list[Generation], slots: FakeSlots
) -> None:
    run(scheduler)
    scheduler.remove(prompts[1])
    assert slots.moves == []


def test_prompts_that_failed_together_are_read_one_by_one(
    scheduler: Scheduler, prompts: list[Generation], slots: FakeSlots
) -> None:
    scheduler.separate(scheduler.plan())
    assert slots.scrubbed == [0, 1]
    assert [chunks(run(scheduler)) for _ in range(3)] == [
        [("four", 0, 0, 4)],
        [("five", 1, 0, 5)],
        [("three", 2, 0, 3), ("long", 3, 0, 7)],
    ]


def test_a_failed_row_leaves_a_clean_slot(
    scheduler: Scheduler, prompts: list[Generation], slots: FakeSlots
) -> None:
    run(scheduler)
    prompts[0].fail("not a number")
    scheduler.remove(prompts[0])
    assert slots.scrubbed == [0]
    assert slots.moves == [(1, 0, 6)]
