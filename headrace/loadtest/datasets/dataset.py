"""Data sets: where the prompts of a load come from, other than from words alone."""

from __future__ import annotations

from typing import Protocol

from headrace.loadtest.calibration import Calibration
from headrace.loadtest.prompts import Prompts


class Dataset(Protocol):
    @property
    def has_own_sizes(self) -> bool:
        """Whether its prompts and answers are as long as they are, whatever a load asks for."""

    async def prompts(self, calibration: Calibration, seed: int) -> Prompts:
        """Raises `Unavailable` where the server does not answer, or no prompt is left to send."""

    def __str__(self) -> str:
        """The data set as an option names it, with all its values."""
