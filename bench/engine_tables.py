"""The tables of docs/benchmarks.md, from what `make bench-engine` measured.

    python -m bench.engine_tables [--json bench/results/engine.json] [--docs docs/benchmarks.md]

Writes them between the two marks of the document, so that it says what the file says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.engine_fidelity import KL_LIMIT
from bench.engine_report import ABOVE_ONE, AHEAD, AT_LEAST, AT_MOST, COMPARISONS
from bench.report import RESULTS

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- make bench-engine -->", "<!-- end of make bench-engine -->"
LEVELS = ("1", "8", "32", "64")
NAMES = {
    "openvino": "**Headrace, OpenVINO**",
    "openvino_bare": "openvino-genai called directly",
    "torch": "**Headrace, torch**",
    "static": "`model.generate`, static batches",
    "generate_batch": "transformers' `generate_batch`",
    "vllm_bfloat16": "vLLM, bfloat16",
    "vllm_float32": "vLLM, float32",
    "llama_cpp": "llama.cpp",
}
OWN = {
    "occupancy_32b": "torch engine, share of slots in use while requests wait, 32 (b)",
    "decode_vs_matmul_32": "torch engine, decode step / its matrix products alone, 32 rows",
    "itl_p95_ratio_c": "torch engine, p95 time between tokens of 16 rows while a prompt of 2,000"
    " is read / its median before",
}
"""Figures that are no comparison of two contenders."""


def markdown(report: Mapping[str, Any]) -> str:
    """The machine, tokens a second, and the ratios."""
    parts = [_measured_on(report), "\n".join(_rates(report)), "\n".join(_ratios(report))]
    parts += [f"- {_title(name)}: withheld, {why}" for name, why in _withheld(report).items()]
    return "\n\n".join(parts)


def insert(document: str, tables: str, begin: str = BEGIN, end: str = END) -> str:
    """The document with `tables` between its marks. Raises `ValueError` where it has none."""
    if begin not in document or end not in document:
        raise ValueError(f"the document has no {begin} and {end}")
    before, _, rest = document.partition(begin)
    return f"{before}{begin}\n{tables}\n{end}{rest.partition(end)[2]}"


def machine_line(report: Mapping[str, Any]) -> str:
    """When, of which commit, and on which processor. Old reports have not all of it."""
    conditions = report["conditions"]
    features = " ".join(conditions.get("features", ())) or "features not recorded"
    when = f"{conditions.get('date', 'no date')}, commit {conditions.get('commit', 'not recorded')}"
    return f"Measured {when}, on {conditions['cpu']} ({features})."


def _measured_on(report: Mapping[str, Any]) -> str:
    lines = [machine_line(report), f"The model is {report['model']}."]
    if "fidelity" not in report:
        lines.append("Nobody had compared the engines' models then: OpenVINO's was a damaged copy.")
    llama = report["options"].get("llama_cpp", {})
    if isinstance(llama, Mapping) and llama:
        sizes = ", ".join(f"{name} {size:.0f} MiB" for name, size in llama["weights_mib"].items())
        state = "repacked" if llama["is_repacked"] else "not repacked"
        lines.append(f"llama.cpp ran with {state} weights ({sizes or 'buffers not reported'}).")
    return " ".join(lines)


def _rates(report: Mapping[str, Any]) -> Iterator[str]:
    rates, fidelity = report["tokens_per_s"], report.get("fidelity", {})
    yield f"| output tokens/s | KL | (a) {' | '.join(LEVELS)} | (b) {' | '.join(LEVELS)} |"
    yield f"|---|--:|{'--:|' * 2 * len(LEVELS)}"
    for name, title in NAMES.items():
        if name in rates["equal"]:
            cells = [_rate(rates[workload][name], n) for workload in rates for n in LEVELS]
            yield f"| {title} | {_kl(fidelity.get(name))} | {' | '.join(cells)} |"


def _rate(rates: Mapping[str, float], level: str) -> str:
    return str(round(rates[level])) if level in rates else "-"


def _kl(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.5f}" if value <= KL_LIMIT else f"**{value:.2f}**"


def _ratios(report: Mapping[str, Any]) -> Iterator[str]:
    yield "| ratio, median of the pairs (95 %) | measured | asked for | |"
    yield "|---|--:|--:|---|"
    for name, value in report["ratios"].items():
        if not name.endswith("_interval"):
            low, high = report["ratios"][f"{name}_interval"]
            figure = f"{value:.2f} ({low:.2f} to {high:.2f})"
            against = report.get("best", {}).get(name)
            wanted = " | ".join(_verdict(name, value, low))
            yield f"| {_title(name, against)} | {figure} | {wanted} |"


def _verdict(name: str, value: float, low: float) -> tuple[str, str]:
    if name in AHEAD:
        return "all of it above 1", _met(low >= ABOVE_ONE)
    if name in AT_LEAST:
        return f"at least {AT_LEAST[name]:g}", _met(value >= AT_LEAST[name])
    if name in AT_MOST:
        return f"at most {AT_MOST[name]:g}", _met(value <= AT_MOST[name])
    return "-", ""


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def _title(name: str, against: str | None = None) -> str:
    if name not in COMPARISONS:
        return OWN[name]
    comparison = COMPARISONS[name]
    lower = NAMES[against or comparison.lowers[-1]]
    where = f"{comparison.concurrency} ({'a' if comparison.workload == 'equal' else 'b'})"
    return f"{NAMES[comparison.upper]} / {lower}, {where}".replace("**", "")


def _withheld(report: Mapping[str, Any]) -> Mapping[str, str]:
    return dict(report.get("withheld", {}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.engine_tables", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", type=Path, default=RESULTS / "engine.json", help="what to show")
    parser.add_argument("--docs", type=Path, default=DOCS, help="the document to write into")
    arguments = parser.parse_args()
    tables = markdown(json.loads(arguments.json.read_text()))
    arguments.docs.write_text(insert(arguments.docs.read_text(), tables))


if __name__ == "__main__":
    main()
