"""A fleet of workers whose size can be changed."""

from __future__ import annotations

from typing import Protocol

from headrace.core.decision_log import Record


class Fleet(Protocol):
    """Drains from the top and stops drained workers only; one that drains may be called back.

    Raises `redis.exceptions.RedisError` when the server is away, `Unavailable` when nobody says who
    there is; all calls may be repeated.
    """

    def number_of(self, worker: str) -> int | None:
        """From 1, and the highest goes first; None for a worker that is not of this fleet."""

    def workers(self) -> list[str]:
        """Names of those that live or start; the last one is the first to go."""

    def set_size(self, size: int, record: Record | None = None) -> bool:
        """Wants so many workers, and notes why. False where another scaler has taken over."""

    def hold(self, record: Record | None = None) -> bool:
        """Wants what was wanted before, since nothing is known; else as `set_size`."""
