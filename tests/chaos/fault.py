"""What every fault of the matrix says about itself."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from tests.chaos.server import Fsync
from tests.chaos.site import Site


class Fault:
    """`number` is the matrix' row, `name` tells variants of it apart.

    `recovery_bound_s` bounds the 99th percentile of all recoveries; `patience_s` how long after
    the fault the last job may end. No more than `most_seeds` are run where that takes long.
    """

    number: ClassVar[int]
    name: str
    may_redeliver: ClassVar[bool] = True
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

    def changes(self) -> dict[str, Any]:
        """Settings that differ from the site's own."""
        return {}
