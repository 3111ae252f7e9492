"""Waiting for a condition, never for a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Fails the test when the condition does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {condition}"
        time.sleep(0.01)


def steady(read: Callable[[], object], looks: int = 20) -> Callable[[], bool]:
    """A condition for `eventually`: the same was read at this many looks in a row."""
    seen: deque[object] = deque(maxlen=looks)

    def is_steady() -> bool:
        seen.append(read())
        return len(seen) == looks and len(set(seen)) == 1

    return is_steady
