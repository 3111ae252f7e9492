"""Our engines beside others on the same model, prompts and cores, each in a process of its own.

    python -m bench.engine [--pairs 12] [--llama-cpp [PROGRAM]] [--only NAME ...]

Others run in virtual environments that are made for it and thrown away (`--environments` keeps
them): `model.generate` in static batches, transformers' continuous batching, openvino-genai called
directly and, where asked for, llama.cpp, which compiles for ten minutes. Everybody loads once; only
one computes at a time, in turned order (A B B A), and outputs end by length alone.

equal         39 prompt and 64 output tokens                              (a)
mixed         prompts of 20-400 and outputs of 8-128, as slots free       (b)
interruption  16 rows decode while a prompt of 2,000 tokens comes         (c)

Ratios are medians over the pairs with their bootstrap 95 % intervals. Occupancy and interruption
are the torch engine's; those of the others stand beside them. Its decode step is compared with its
matrix products alone: the same layers, with the same weights and inputs, one after another.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.engine_contender import Batch, Contender
from bench.engine_crew import ALL, GGUF_READERS, MIXED, OURS, Crew
from bench.engine_model import ModelFiles, find_model
from bench.engine_report import SLOTS, Findings, Gaps, details, ratios, shares, table, targets
from bench.engine_workloads import FULL, QUICK, Workloads
from bench.environments import Environments
from bench.machine_limits import LimitMeter
from bench.pairs import alternate, console
from bench.prepared import add_models, link_models
from bench.report import RESULTS, hand_in, make_parser
from bench.rounds import interleave
from headrace.core.cores import with_fair_threads
from headrace.core.machine import machine
from headrace.core.settings import load_settings

FEWER = (1, 8)
MANY_SLOTS = 64
LEVELS = (*FEWER, SLOTS, MANY_SLOTS)
GROUPS = (
    ("equal", ("openvino_bare", "openvino", "llama_cpp")),
    ("equal", ("static", "torch", "generate_batch")),
    ("mixed", ("openvino_bare", "openvino")),
    ("mixed", ("static", "torch")),
)
"""What is compared runs side by side."""


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        environments = Environments(arguments.environments or Path(folder), console.log)
        report = measure(_crew(Path(folder), environments, arguments), arguments)
        _show(report["tokens_per_s"])
        if arguments.plot is not None:
            draw(report, environments, arguments.plot)
    hand_in(report, [] if arguments.quick else targets(report), arguments)


def measure(crew: Crew, arguments: argparse.Namespace) -> dict[str, Any]:
    names = chosen(arguments, crew.model)
    workloads = Workloads(QUICK if arguments.quick else FULL, crew.model.vocabulary)
    load_before, meter = os.getloadavg()[0], LimitMeter(crew.settings.threads)
    bench = EngineBench(workloads, Findings(), meter, arguments.pairs, arguments.rounds)
    with crew.loaded(names, SLOTS) as contenders:
        bench.warm_up(contenders)
        options = {
            name: one.ask("options")["options"]
            for name, one in contenders.items()
            if name == "llama_cpp"
        }
        bench.race(contenders)
        bench.interrupt(contenders)
        bench.compare_decoding(contenders)
        bench.fill_table(contenders, FEWER)
    with crew.loaded(names, MANY_SLOTS) as contenders:
        bench.warm_up(contenders)
        bench.fill_table(contenders, [MANY_SLOTS])
    findings, limits = bench.findings, meter.limits()
    return {
        "ratios": ratios(findings),
        "tokens_per_s": table(findings, names, LEVELS),
        **details(findings),
        "limits": vars(limits),
        "shares_32a": shares(findings, limits, crew.model.parameters, _weight_bytes(crew, names)),
        "options": options,
        "model": crew.model.name,
        "threads": crew.settings.threads,
        "pairs": arguments.pairs,
        "quick": arguments.quick,
        "conditions": _conditions(load_before),
    }


class EngineBench:
    """Has contenders run and keeps what they found; between runs it samples the machine."""

    def __init__(
        self,
        workloads: Workloads,
        findings: Findings,
        meter: LimitMeter,
        pairs: int,
        rounds: int,
    ) -> None:
        self.findings = findings
        self._workloads = workloads
        self._meter = meter
        self._pairs = pairs
        self._rounds = rounds

    def warm_up(self, contenders: Mapping[str, Contender]) -> None:
        for contender in contenders.values():
            contender.batch(self._workloads.equal(FEWER[-1]), FEWER[-1])

    def race(self, contenders: Mapping[str, Contender]) -> None:
        """All groups at 32, once a pair."""
        for workload, group in GROUPS:
            members = {name: contenders[name] for name in group if name in contenders}
            self._meter.sample()
            if members:
                runs = self._interleave(self._pairs, members, workload, SLOTS)
                self.findings.races.append((workload, runs))

    def interrupt(self, contenders: Mapping[str, Contender]) -> None:
        """A long prompt between decoding rows, in each of our engines."""
        ours = {name: contenders[name] for name in OURS if name in contenders}
        acts = {name: lambda one=one: self._gaps(one) for name, one in ours.items()}
        self._meter.sample()
        self.findings.gaps = interleave(self._pairs, acts, "interruption")

    def compare_decoding(self, contenders: Mapping[str, Contender]) -> None:
        """A decode step of 32 rows beside its products alone."""
        if "torch" not in contenders:
            return
        torch = contenders["torch"]
        self._decode_s(torch)  # warm-up; the products are those of its step
        self._meter.sample()
        self.findings.decode_s, self.findings.products_s = alternate(
            self._pairs,
            lambda: self._decode_s(torch),
            lambda: float(torch.ask("products")["seconds"]),
        )
        rows = [row.encode() for row in self._workloads.decoding(SLOTS)]
        self.findings.decode_profile_ms = torch.ask("profile", prompts=rows)["milliseconds"]

    def fill_table(self, contenders: Mapping[str, Contender], levels: Sequence[int]) -> None:
        for level, workload in itertools.product(levels, ("equal", "mixed")):
            members = contenders if workload == "equal" else _of(contenders, MIXED)
            self._meter.sample()
            for name, runs in self._interleave(self._rounds, members, workload, level).items():
                self.findings.levels[name, workload, level] = runs

    def _interleave(
        self, rounds: int, members: Mapping[str, Contender], workload: str, level: int
    ) -> dict[str, list[Batch]]:
        acts = {
            name: lambda one=one: self._batch(one, workload, level) for name, one in members.items()
        }
        return interleave(rounds, acts, f"{workload} {level}: {', '.join(members)}")

    def _batch(self, contender: Contender, workload: str, level: int) -> Batch:
        prompts = getattr(self._workloads, workload)(level)
        return contender.batch(prompts, level)

    def _gaps(self, contender: Contender) -> Gaps:
        rows, long = self._workloads.interruption()
        fields = [row.encode() for row in rows]
        return Gaps(**contender.ask("interrupt", prompts=fields, long=long.encode()))

    def _decode_s(self, contender: Contender) -> float:
        fields = [row.encode() for row in self._workloads.decoding(SLOTS)]
        return float(contender.ask("decode", prompts=fields)["seconds"])


def chosen(arguments: argparse.Namespace, model: ModelFiles) -> list[str]:
    """Those who take part: where the model has no GGUF file, those that read one do not."""
    names = [name for name in ALL if name in (arguments.only or ALL)]
    absent = set() if arguments.llama_cpp is not None else {"llama_cpp"}
    absent |= set() if model.gguf is not None else set(GGUF_READERS) - set(OURS)
    return [name for name in names if name not in absent]


def draw(report: Mapping[str, Any], environments: Environments, file: Path) -> None:
    """The plot is drawn in an environment of its own: the project needs no matplotlib."""
    script = Path(__file__).with_name("engine_plot.py")
    command = [str(environments.python("plot")), str(script), str(file.absolute())]
    subprocess.run(command, input=json.dumps(report), text=True, check=True)


def _crew(folder: Path, environments: Environments, arguments: argparse.Namespace) -> Crew:
    link_models(folder, arguments.models)
    settings = with_fair_threads(load_settings(state_dir=folder))
    program = arguments.llama_cpp
    if program == Path():
        program = environments.binary("llama-cpp", "llama-batched-bench")
    model = find_model(settings, console.log)
    return Crew(settings, model, environments, folder, program)


def _of(contenders: Mapping[str, Contender], names: Sequence[str]) -> dict[str, Contender]:
    return {name: one for name, one in contenders.items() if name in names}


def _weight_bytes(crew: Crew, names: Sequence[str]) -> dict[str, int]:
    """What a step reads: the GGUF file, or two bytes a parameter."""
    gguf = crew.model.gguf
    quantised = gguf.stat().st_size if gguf is not None else 0
    return {
        name: quantised if name in GGUF_READERS else 2 * crew.model.parameters for name in names
    }


def _show(rates: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Output tokens a second, by contender and concurrency."""
    grid = Table("output tokens/s", *(f"{w} {n}" for w in rates for n in LEVELS))
    for name in rates["equal"]:
        cells = [rates[w][name].get(str(n), "-") for w in rates for n in LEVELS]
        grid.add_row(name, *map(str, cells))
    Console(stderr=True).print(grid)


def _conditions(load_before: float) -> dict[str, Any]:
    packages = ("torch", "transformers")
    return {
        "cpu": machine()["cpu"],
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.engine", __doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs a ratio (default 12)")
    parser.add_argument(
        "--rounds", type=int, default=2, help="runs a cell of the table (default 2)"
    )
    parser.add_argument("--only", nargs="+", choices=ALL, metavar="NAME", help=", ".join(ALL))
    parser.add_argument(
        "--quick", action="store_true", help="tiny runs to see that all works: no targets"
    )
    add_models(parser)
    parser.add_argument(
        "--llama-cpp",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="PROGRAM",
        help="llama.cpp as well: a llama-batched-bench, or none named: it is installed",
    )
    parser.add_argument("--environments", type=Path, help="keeps the environments of the others")
    parser.add_argument("--plot", type=Path, default=RESULTS / "engine.png", help="where it goes")
    parser.add_argument("--no-plot", dest="plot", action="store_const", const=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
