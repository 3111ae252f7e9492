"""What every fault of the matrix says about itself."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, ClassVar

from tests.chaos.server import Fsync, RedisServer
from tests.chaos.site import Site
from tests.chaos.up import Up


class Fault:
    """`number` is the matrix' row, `name` tells variants of it apart.

    `recovery_bound_s` bounds the 99th percentile of all recoveries; `patience_s` how long after
    the fault the last job may end. No more than `most_seeds` are run where that takes long. Where
    it may not blame, no job may be charged with the death of a worker.
    """

    number: ClassVar[int]
    name: str
    may_redeliver: ClassVar[bool] = True
    may_blame: ClassVar[bool] = True
    patience_s: ClassVar[float] = 30.0
    most_seeds: ClassVar[int] = 1000
    recovery_bound_s: float | None = None
    supervised: bool = True
    fsync: Fsync = "everysec"

    def strike(self, site: Site, dice: random.Random) -> None:
        """Loads the site and does the harm; the seed of `dice` decides when and to whom.

        Raises `Broken` when a bound does not hold. Jobs may still run at the end.
        """
        raise NotImplementedError

    def inspect(self, site: Site) -> None:
        """Checks what must hold once every job has ended. Raises `Broken`."""
        return None

    def server(self, folder: Path, changes: dict[str, Any]) -> RedisServer | Up:
        """The Redis of the site, or a whole deployment around it, with these settings."""
        return RedisServer(folder / "redis", self.fsync)

    def changes(self) -> dict[str, Any]:
        """Settings that differ from the site's own."""
        return {}
