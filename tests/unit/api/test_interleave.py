"""Several sources read as one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from api.interleave import interleave
from tests.waiting import eventually


def test_what_any_source_brings_comes_at_once() -> None:
    inputs: list[SimpleQueue[str]] = [SimpleQueue(), SimpleQueue()]
    outputs = interleave([iter(source.get, "end") for source in inputs])

    for number, item in [(1, "a"), (0, "b"), (1, "c")]:
        inputs[number].put(item)
        assert next(outputs) == (number, item)
    for source in inputs:
        source.put("end")
    assert list(outputs) == []


def test_the_error_of_a_source_reaches_the_reader() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ValueError("broken")

    outputs = interleave([broken()])
    assert next(outputs) == (0, "a")
    with pytest.raises(ValueError, match="broken"):
        next(outputs)


def test_sources_end_when_their_reader_stops() -> None:
    news, ended = threading.Semaphore(2), threading.Event()

    def endless() -> Iterator[int]:
        try:
            while news.acquire():
                yield 1
        finally:
            ended.set()

    outputs = interleave([endless()])
    next(outputs)
    outputs.close()  # type: ignore[attr-defined]
    news.release()
    eventually(ended.is_set)
