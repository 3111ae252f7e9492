"""The table of fidelity in docs/benchmarks.md, from what `make bench-fidelity` measured.

python -m bench.fidelity_table
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.engine_tables import DOCS, insert, machine_line
from bench.report import RESULTS

BEGIN, END = "<!-- make bench-fidelity -->", "<!-- end of make bench-fidelity -->"
NAMES = {
    "openvino": "**Headrace, OpenVINO, the default**",
    "openvino_float32": "Headrace, OpenVINO, float32",
    "openvino_bfloat16": "Headrace, OpenVINO, bfloat16",
    "torch_float32": "Headrace, torch, float32",
    "torch_bfloat16": "Headrace, torch, bfloat16",
    "openvino_rounded": "OpenVINO's own reading of the file",
    "openvino_real_zero": "all matrices with real zero points",
    "openvino_fine_steps": "all matrices in fine steps of 8 bits",
    "vllm_float32": "vLLM, float32",
    "vllm_bfloat16": "vLLM, bfloat16",
    "llama_cpp": "llama.cpp",
}


def markdown(report: Mapping[str, Any]) -> str:
    """What was measured on, a row an engine, and the default beside the copy it replaced."""
    parts = [machine_line(report), "\n".join(_rows(report["engines"]))]
    return "\n\n".join([*parts, _ratios(report["faithful_over_rounded"])])


def _rows(engines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| | KL, nats a token | same token | perplexity | tokens/s, 1 | 32 |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, title in NAMES.items():
        if name in engines:
            one = engines[name]
            yield (
                f"| {title} | {one['kl']:.5f} | {one['top1']:.1%} | {one['perplexity_ratio']:.4f}"
                f" | {one['tokens_per_s_1']:.0f} | {one['tokens_per_s_32']:.0f} |"
            )


def _ratios(ratios: Mapping[str, Any]) -> str:
    each = [
        f"{ratios[level]:.2f} ({ratios[f'{level}_interval'][0]:.2f} to"
        f" {ratios[f'{level}_interval'][1]:.2f}) at {level}"
        for level in ("1", "32")
    ]
    return f"Tokens/s of the default / OpenVINO's own reading: {', '.join(each)}."


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fidelity_table", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", type=Path, default=RESULTS / "fidelity.json", help="what to show")
    parser.add_argument("--docs", type=Path, default=DOCS, help="the document to write into")
    arguments = parser.parse_args()
    table = markdown(json.loads(arguments.json.read_text()))
    document = insert(arguments.docs.read_text(), table, BEGIN, END)
    arguments.docs.write_text(document)


if __name__ == "__main__":
    main()
