"""The tables of the service in docs/benchmarks.md, from what `make bench-service` measured.

python -m bench.service_tables [--results bench/results] [--docs docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.engine_tables import DOCS, insert, machine_line
from bench.report import RESULTS

OWN, PEERS = "service", "service_peers"
"""The results, each with marks of its own in the document."""

NAMES = {
    "openvino": "**Headrace, OpenVINO**",
    "torch": "**Headrace, torch**",
    "simulated": "Headrace, no model",
    "vllm_bfloat16": "vLLM, bfloat16",
    "vllm_float32": "vLLM, float32",
    "llama_cpp": "llama.cpp",
}
NOT_MEASURED = "Not measured yet."


def marks(name: str) -> tuple[str, str]:
    """Marks around the table of a result."""
    return f"<!-- make bench-service: {name} -->", f"<!-- end of make bench-service: {name} -->"


def filled(document: str, results: Path) -> str:
    """The document with both tables. Raises `ValueError` where it lacks their marks."""
    for name, table in ((OWN, own_table), (PEERS, peers_table)):
        file = results / f"{name}.json"
        text = table(json.loads(file.read_text())) if file.is_file() else NOT_MEASURED
        document = insert(document, text, *marks(name))
    return document


def own_table(report: Mapping[str, Any]) -> str:
    """Each engine through the service, beside the same engine called directly."""
    return f"{machine_line(report)}\n\n" + "\n".join(_own_rows(report["engines"]))


def peers_table(report: Mapping[str, Any]) -> str:
    """Tokens/s of every server, and how long its first tokens took."""
    return f"{machine_line(report)}\n\n" + "\n".join(_peer_rows(report["engines"]))


def _own_rows(engines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| | users | tokens/s | of the engine's (95 %) | first token p50, p95 | API CPU a token |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in _known(engines):
        one = engines[name]
        for users, rate in one["tokens_per_s"]["service"].items():
            low, high = one[f"ratio_{users}_interval"]
            cells = (
                users,
                f"{rate:.0f}",
                f"{one[f'ratio_{users}']:.2f} ({low:.2f} to {high:.2f})",
                ", ".join(_ms(one[f"ttft_p{p}_ms"]["service"].get(users)) for p in (50, 95)),
                f"{one['cpu_ms_per_token']['api'][users]:.2f} ms",
            )
            yield f"| {NAMES[name]} | {' | '.join(cells)} |"


def _peer_rows(engines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    levels = list(dict.fromkeys(users for one in engines.values() for users in one["tokens_per_s"]))
    yield f"| | tokens/s, {' | '.join(levels)} | first token p95, {' | '.join(levels)} |"
    yield f"|---|{'--:|' * 2 * len(levels)}"
    for name in _known(engines):
        one = engines[name]
        rates = [f"{one['tokens_per_s'][users]:.0f}" for users in levels]
        waits = [_ms(one["ttft_p95_ms"].get(users)) for users in levels]
        yield f"| {NAMES[name]} | {' | '.join([*rates, *waits])} |"


def _known(engines: Mapping[str, Any]) -> list[str]:
    return [name for name in NAMES if name in engines]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.service_tables", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of what to show")
    parser.add_argument("--docs", type=Path, default=DOCS, help="the document to write into")
    arguments = parser.parse_args()
    arguments.docs.write_text(filled(arguments.docs.read_text(), arguments.results))


if __name__ == "__main__":
    main()
