"""Several sources as one: whatever any of them brings next comes next."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class _End(Exception):
    """A source is at its end."""


def interleave(sources: Sequence[Iterator[T]]) -> Iterator[tuple[int, T]]:
    """The items of all sources as they come, each with the number of its source.

    Each source is read by a thread of its own (a greenlet under gevent); what it raises is raised
    here. Where the reader stops early each of them ends with the next item of its source.
    """
    items: SimpleQueue[tuple[int, T | Exception]] = SimpleQueue()
    is_over = threading.Event()

    def read(number: int, source: Iterator[T]) -> None:
        try:
            for item in source:
                items.put((number, item))
                if is_over.is_set():
                    return
            items.put((number, _End()))
        except Exception as error:
            items.put((number, error))

    for number, source in enumerate(sources):
        threading.Thread(target=read, args=(number, source), daemon=True).start()
    try:
        yield from _until_all_end(items, len(sources))
    finally:
        is_over.set()


def _until_all_end(
    items: SimpleQueue[tuple[int, T | Exception]], open_sources: int
) -> Iterator[tuple[int, T]]:
    while open_sources:
        number, item = items.get()
        if isinstance(item, _End):
            open_sources -= 1
        elif isinstance(item, Exception):
            raise item
        else:
            yield number, item
