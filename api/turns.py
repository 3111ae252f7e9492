"""Long loops of one request that let other requests of the process have their turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent

Item = TypeVar("Item")

EVERY = 128


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """Yields the items; other greenlets run after every `EVERY` of them."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % EVERY == 0:
            gevent.sleep(0)
