"""The load submits until it is acknowledged, and remembers what it was refused with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.chaos.acknowledgements import Acknowledgements
from tests.chaos.load import Load, Refusal
from tests.chaos.orders import ONE_QUEUE, THREE_QUEUES, orders


@pytest.fixture
def acknowledgements(tmp_path: Path) -> Iterator[Acknowledgements]:
    acknowledgements = Acknowledgements(tmp_path / "acknowledged")
    yield acknowledgements
    acknowledgements.close()


def run(queue: Mock, acknowledgements: Acknowledgements, most: int) -> Load:
    load = Load(queue, acknowledgements, orders(random.Random(1), (1, 9)), pace_s=0.0, most=most)
    load.start()
    load.join(10)
    return load


def test_what_was_acknowledged_is_on_disk(acknowledgements: Acknowledgements) -> None:
    queue = Mock()
    assert run(queue, acknowledgements, most=3).accepted == 3
    submitted = [call.args[0].id for call in queue.submit.call_args_list]
    assert acknowledgements.read() == submitted


def test_an_order_that_was_refused_is_placed_again(acknowledgements: Acknowledgements) -> None:
    queue = Mock()
    queue.submit.side_effect = [RedisConnectionError("away"), None]
    (refusal,) = run(queue, acknowledgements, most=1).refusals

    first, second = (call.args[0].id for call in queue.submit.call_args_list)
    assert first == second
    assert acknowledgements.read() == [first]
    assert refusal.is_clear


@pytest.mark.parametrize("error", [ValueError("what?"), RedisConnectionError()])
def test_an_error_of_another_kind_or_without_words_is_not_clear(error: Exception) -> None:
    assert not Refusal(error, seconds=0.1).is_clear


def test_a_seed_decides_every_order() -> None:
    first, second = (orders(random.Random(7), (1, 9), THREE_QUEUES) for _ in range(2))
    assert [next(first) for _ in range(20)] == [next(second) for _ in range(20)]


def test_orders_stay_within_their_bounds() -> None:
    placed = orders(random.Random(7), (2, 4), ONE_QUEUE)
    requests = [next(placed) for _ in range(50)]
    assert {request.sampling.max_tokens for request in requests} == {2, 3, 4}
    assert {request.priority for request in requests} == set(ONE_QUEUE)
