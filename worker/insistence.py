"""Repeating a call until Redis accepts it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from headrace.core.clock import Clock
from headrace.core.redis_errors import passes_by_itself, words_of

RETRY_FIRST_S, RETRY_MOST_S = 0.05, 2.0

T = TypeVar("T")
log = structlog.get_logger()


def insist(
    call: Callable[[], T],
    clock: Clock,
    is_over: Callable[[], bool] = lambda: False,
    waited: Callable[[float], None] = lambda seconds: None,
) -> T:
    """Repeats a call, with growing pauses, as long as its error passes by itself.

    Raises any other error at once, and the latest error as soon as `is_over`. Reports to `waited`
    how many seconds each failed try and the pause behind it took.
    """
    wait_s = RETRY_FIRST_S
    while True:
        asked_at = clock.now()
        try:
            return call()
        except RedisError as error:
            if not passes_by_itself(error) or is_over():
                raise
            log.warning("Redis call refused", error=words_of(error), retry_s=round(wait_s, 2))
        clock.sleep(wait_s * random.uniform(0.5, 1.0))
        waited(clock.now() - asked_at)
        wait_s = min(wait_s * 2, RETRY_MOST_S)
