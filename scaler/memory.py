"""What a policy remembers from one tick to the next; there is no other state."""

from __future__ import annotations

from dataclasses import dataclass, field

from scaler.arrivals import Arrivals
from scaler.gain import Gain
from scaler.readings import Readings
from scaler.window import Window
from scaler.work import Work


@dataclass(frozen=True, slots=True)
class Memory:
    """`size` is the last decision; a scaler that restarts begins with the one found in Redis.

    `since`: from when on readings came without a gap. `sizes`: changes of the last while, each
    with its moment and the size before it. `ups`: ticks in a row that asked for more.
    `idle_since`: from when on nothing waited, ran or came.
    """

    size: int | None = None
    last: Readings | None = None
    since: float = 0.0
    arrivals: Arrivals = field(default_factory=Arrivals)
    work: Work = field(default_factory=Work)
    gain: Gain = field(default_factory=Gain)
    window: Window = field(default_factory=Window)
    sizes: tuple[tuple[float, int], ...] = ()
    ups: int = 0
    idle_since: float | None = None
