"""Draws cost and attainment of the policies: python plot.py FILE.png < autoscale.json

Runs where matplotlib is; it knows nothing of the rest.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLD_START_S = 30.0
COLUMNS = 3
COLOURS = {"ours": "#0b6e4f", "oracle": "#000000"}


def main() -> None:
    report, file = json.load(sys.stdin), sys.argv[1]
    rows = [row for row in report["rows"] if not row["policy"].startswith("ours-")]
    cold = {row["load"]: row["cold_start_s"] for row in rows}
    cold |= {row["load"]: COLD_START_S for row in rows if row["cold_start_s"] == COLD_START_S}
    lines = -(-len(cold) // COLUMNS)
    figure, grid = pyplot.subplots(
        lines, COLUMNS, figsize=(15, 4 * lines), layout="constrained", squeeze=False
    )
    for axes, load in zip(grid.flat, cold, strict=False):
        here = [row for row in rows if (row["load"], row["cold_start_s"]) == (load, cold[load])]
        draw(axes, f"{load}, cold start {cold[load]:g} s", here)
    for axes in list(grid.flat)[len(cold) :]:
        axes.set_visible(False)
    figure.suptitle("Up and to the left is better; bars are 95 % intervals", fontsize=10)
    figure.savefig(file, dpi=110)


def draw(axes: pyplot.Axes, title: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        x, y = row["worker_s"], row["attainment"]
        colour = COLOURS.get(row["policy"], "#7a8fa8")
        axes.errorbar(
            x["mean"], y["mean"], xerr=reach(x), yerr=reach(y), fmt="o", color=colour, markersize=5
        )
        place = (x["mean"], y["mean"])
        axes.annotate(
            row["policy"],
            place,
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("worker seconds", fontsize=8)
    axes.set_ylabel("attainment", fontsize=8)
    axes.grid(alpha=0.3)


def reach(spread: dict[str, Any]) -> list[list[float]] | None:
    if spread["interval"] is None:
        return None
    low, high = spread["interval"]
    return [[spread["mean"] - low], [high - spread["mean"]]]


if __name__ == "__main__":
    main()
