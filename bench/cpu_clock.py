"""CPU time of one thread, by what it was spent on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class CpuClock:
    """For one thread. Of calls inside each other only the outermost of a kind counts."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: set[str] = set()

    def wrap(self, owner: object, method: str, kind: str) -> None:
        """From here on, `owner.method` counts as `kind`."""
        setattr(owner, method, self._timed(getattr(owner, method), kind))

    def _timed(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            if kind in self._open:
                return call(*arguments, **options)
            self._open.add(kind)
            started = time.thread_time()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds[kind] += time.thread_time() - started
                self._open.remove(kind)

        return timed
