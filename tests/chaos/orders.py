"""Orders: requests without end, of which a seed decides everything."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

from headrace.core.types import Priority, Request
from tests.fakes import make_request

ONE_QUEUE = (Priority.DEFAULT,)
THREE_QUEUES = tuple(Priority)


def orders(
    dice: random.Random, tokens: tuple[int, int], priorities: Sequence[Priority] = ONE_QUEUE
) -> Iterator[Request]:
    """Requests whose output has between `tokens` tokens, both included."""
    for number in itertools.count(1):
        yield make_request(
            f"job-{number}-{dice.getrandbits(32):08x}",
            max_tokens=dice.randint(*tokens),
            priority=dice.choice(priorities),
        )
