"""Reasons why output cannot be held to a JSON schema, and the bound on the work that shows it."""

from __future__ import annotations

MOST_WORK = 100_000
"""Steps that one schema may take: 0.3 s of CPU time at most, a few milliseconds for most."""


class Unheld(Exception):
    """Output cannot be held to the schema. `place` is a JSON pointer, empty at the root."""

    def __init__(self, reason: str, place: str = "", keyword: str = "") -> None:
        super().__init__(reason)
        self.reason, self.place, self.keyword = reason, place, keyword

    def at(self, place: str, keyword: str) -> Unheld:
        """The same reason with a place, where it has none yet."""
        return self if self.keyword else Unheld(self.reason, place, keyword)

    def __str__(self) -> str:
        keyword = f"/{self.keyword}" if self.keyword else ""
        return f"#{self.place}{keyword}: {self.reason}"


class Work:
    """Counts what a schema costs, so that the refusal of a large one does not depend on time."""

    def __init__(self, most: int = MOST_WORK) -> None:
        self._left = most

    def spend(self, cells: int) -> None:
        """Raises `Unheld` once too much was spent."""
        self._left -= cells
        if self._left < 0:
            raise Unheld("too large once its repeats and alternatives are written out")
