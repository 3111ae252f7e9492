"""How the plots of a report look: one palette, one template; light or dark is up to the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

BLUE, ORANGE, TEAL = "#2f7fd6", "#d9730d", "#0b958a"
PINK, VIOLET, GREY = "#c9488c", "#7f63d2", "#858c96"
"""At least 3:1 on white and on the dark page, and apart for every kind of colour vision."""

RAMP = (BLUE, VIOLET, PINK, ORANGE)
"""From a low level to a high one."""

MARGIN = 1.2

AXIS = {
    "showgrid": True,
    "zeroline": False,
    "showline": False,
    "automargin": True,
    "ticks": "",
    "ticklabelstandoff": 6,
    "title": {"standoff": 10},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 16, "t": 40, "b": 48},
        "hovermode": "closest",
        "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": AXIS,
        "yaxis": AXIS | {"rangemode": "tozero"},
    }
)


def shades(count: int) -> list[str]:
    """As many colours along the ramp."""
    if count == 1:
        return [RAMP[0]]
    return [_at(number / (count - 1) * (len(RAMP) - 1)) for number in range(count)]


def logarithmic(low: float, high: float) -> Mapping[str, Any]:
    """An axis from a little below to a little above, with ticks at 1, 2 and 5 of few decades."""
    digits = (1, 2, 5) if high < low * 10_000 else (1,)
    ticks = [digit * 10.0**power for power in range(-7, 7) for digit in digits]
    return {
        "type": "log",
        "range": [math.log10(low / MARGIN), math.log10(high * MARGIN)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _at(place: float) -> str:
    below, above = list(pairwise(RAMP))[min(int(place), len(RAMP) - 2)]
    share = place - min(int(place), len(RAMP) - 2)
    mixed = (
        round(one + (other - one) * share)
        for one, other in zip(_parts(below), _parts(above), strict=True)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _parts(colour: str) -> Sequence[int]:
    return bytes.fromhex(colour[1:])
