"""How late the load tester itself is: a generator that cannot keep up measures itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_S = 0.02


class Ticker:
    """Wakes every 20 ms and notes by how many s each wake-up was late."""

    def __init__(self) -> None:
        self.late_s: list[float] = []

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            task.cancel()

    async def _tick(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due = now() + TICK_S
            await asyncio.sleep(TICK_S)
            self.late_s.append(now() - due)
