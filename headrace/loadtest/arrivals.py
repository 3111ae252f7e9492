"""When requests of an open loop arrive: offsets in s from the start, without end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal, get_args

Arrivals = Literal["poisson", "gamma", "constant"]
ARRIVALS: tuple[Arrivals, ...] = get_args(Arrivals)


def arrivals(kind: Arrivals, rate: float, cv: float, seed: int) -> Iterator[float]:
    """`rate` requests/s in the mean.

    `cv` is the coefficient of variation of the gaps of `gamma`: 1 is Poisson, more comes in bursts.
    """
    draw = random.Random(f"arrivals {seed}")
    match kind:
        case "poisson":
            return itertools.accumulate(draw.expovariate(rate) for _ in itertools.count())
        case "gamma":
            shape = 1 / cv**2
            gaps = (draw.gammavariate(shape, 1 / (shape * rate)) for _ in itertools.count())
            return itertools.accumulate(gaps)
        case "constant":
            return (number / rate for number in itertools.count())
