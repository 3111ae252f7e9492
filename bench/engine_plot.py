"""Draws the report of the engine benchmark: python engine_plot.py FILE.png < engine.json

Runs where matplotlib is; it knows nothing of the rest.
"""

from __future__ import annotations

import json
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

TITLES = {
    "equal": "equal: 39 prompt + 64 output tokens",
    "mixed": "mixed: prompts 20-400, outputs 8-128, as slots free",
}
LOOKS = {
    "openvino": ("Headrace, OpenVINO", "#0b6e4f", "-", "o"),
    "torch": ("Headrace, torch", "#1f5fbf", "-", "o"),
    "openvino_bare": ("openvino-genai called directly", "#6fbf9f", "--", "s"),
    "vllm_bfloat16": ("vLLM, bfloat16", "#8e44ad", "--", "D"),
    "vllm_float32": ("vLLM, float32", "#c39bd3", "--", "D"),
    "llama_cpp": ("llama.cpp batched-bench", "#c77d0a", "--", "^"),
    "static": ("transformers generate, static", "#8fb3e8", "--", "s"),
    "generate_batch": ("transformers generate_batch", "#a0a0a0", "--", "v"),
}


def main() -> None:
    report, file = json.load(sys.stdin), sys.argv[1]
    figure, sides = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    for axes, (workload, title) in zip(sides, TITLES.items(), strict=True):
        for name, rates in report["tokens_per_s"][workload].items():
            if rates:
                draw(axes, name, {int(level): rate for level, rate in rates.items()})
        finish(axes, title)
    sides[0].set_ylabel("output tokens/s")
    sides[0].legend(fontsize=9, loc="upper left")
    figure.suptitle(f"{report['model']}, {report['conditions']['cpu']}", fontsize=10)
    figure.savefig(file, dpi=130)


def draw(axes: pyplot.Axes, name: str, rates: dict[int, float]) -> None:
    label, colour, line, marker = LOOKS[name]
    levels = sorted(rates)
    values = [rates[level] for level in levels]
    axes.plot(levels, values, line, color=colour, marker=marker, markersize=5, label=label)
    axes.annotate(
        f"{values[-1]:.0f}",
        (levels[-1], values[-1]),
        xytext=(6, -3),
        textcoords="offset points",
        fontsize=8,
        color=colour,
    )


def finish(axes: pyplot.Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 8, 32, 64], labels=["1", "8", "32", "64"])
    axes.set_xlim(0.9, 90)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("concurrent requests")
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


if __name__ == "__main__":
    main()
