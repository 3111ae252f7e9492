"""The most that was wanted lately."""

from __future__ import annotations

from dataclasses import dataclass

Entry = tuple[float, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Moments and sizes; of those that can still become the most, so the sizes fall."""

    entries: tuple[Entry, ...] = ()

    def after(self, at: float, size: int, seconds: float) -> Window:
        """With `size`, and without what is `seconds` old."""
        kept = [(then, most) for then, most in self.entries if most > size and then > at - seconds]
        return Window((*kept, (at, size)))

    @property
    def most(self) -> int:
        return self.entries[0][1] if self.entries else 0
