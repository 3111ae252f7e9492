"""The measured part of a level."""

from __future__ import annotations

import math

from headrace.loadtest.loads import Limits


class Window:
    """Which requests count: those sent after the warm-up, as many or as long as the limits say."""

    def __init__(self, began: float, limits: Limits) -> None:
        self.start = began + limits.warmup_s
        self.closes = math.inf if limits.duration_s is None else self.start + limits.duration_s
        self._left = math.inf if limits.requests is None else limits.requests

    def measures(self, at: float) -> bool | None:
        """Whether a request sent now counts; None when no more is to be sent."""
        if at < self.start:
            return False
        if at >= self.closes or self._left <= 0:
            return None
        self._left -= 1
        return True
