"""Our engines beside others on the same model, prompts and cores, each in a process of its own.

    python -m bench.engine [--pairs 12] [--llama-cpp [PROGRAM]] [--only NAME ...]

Others run in virtual environments that are made for it and thrown away (`--environments` keeps
them): `model.generate` in static batches, transformers' continuous batching, vLLM, openvino-genai
called directly and, where asked for, llama.cpp. Making them takes some minutes each: llama.cpp and
vLLM compile. Everybody loads once; only one computes at a time, in turned order (A B B A), and
outputs end by length alone.

equal         39 prompt and 64 output tokens                              (a)
mixed         prompts of 20-400 and outputs of 8-128, as slots free       (b)
interruption  16 rows decode while a prompt of 2,000 tokens comes         (c)

Ratios are medians over the pairs with their bootstrap 95 % intervals. They are given only where
both sides compute the same model (`--fidelity`, what `make bench-fidelity` wrote). Of vLLM's two
number formats the better one counts. Occupancy and interruption are the torch engine's; those of
the others stand beside them. Its decode step is compared with its matrix products alone: the same
layers, with the same weights and inputs, one after another.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from batcher.model_source import OPENVINO_MODEL
from bench.engine_contender import Batch, Contender
from bench.engine_crew import ALL, MIXED, OPENVINO_READERS, OURS, VLLM, Crew
from bench.engine_fidelity import Fidelity, read_fidelity
from bench.engine_model import ModelFiles, find_model
from bench.engine_report import (
    ROWS,
    SLOTS,
    Findings,
    Gaps,
    Race,
    compare,
    details,
    own_figures,
    shares,
    table,
    targets,
)
from bench.engine_workloads import FULL, QUICK, Workloads
from bench.environments import RECIPES, Environments
from bench.machine_conditions import machine_conditions
from bench.machine_limits import LimitMeter
from bench.pairs import alternate, console
from bench.peers.torch_model import fast_dtype
from bench.prepared import add_models, link_models
from bench.report import RESULTS, hand_in, make_parser, no_targets, save
from bench.rounds import interleave
from headrace.core.cores import with_fair_threads
from headrace.core.settings import load_settings

FEWER = (1, 8)
MANY_SLOTS = 64
LEVELS = (*FEWER, SLOTS, MANY_SLOTS)
RACERS = ("openvino_bare", "openvino", "torch", *VLLM, "llama_cpp")


@dataclass(frozen=True)
class Group:
    """Contenders that run side by side and are compared; `share` of the pairs are theirs."""

    workload: str
    concurrency: int
    members: tuple[str, ...]
    share: float = 1.0

    def rounds(self, pairs: int) -> int:
        return min(pairs, max(2, round(self.share * pairs)))


RACES = tuple(Group("equal", rows, RACERS) for rows in ROWS)
GROUPS = (
    *RACES,
    # These ratios vary by one or two hundredths: a third of the pairs finds them as well.
    Group("equal", SLOTS, ("static", "torch", "generate_batch"), share=1 / 3),
    Group("mixed", SLOTS, ("openvino_bare", "openvino"), share=1 / 3),
    Group("mixed", SLOTS, ("static", "torch"), share=1 / 3),
)


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        environments = Environments(arguments.environments or Path(folder), console.log)
        report = measure(_crew(Path(folder), environments, arguments), arguments)
        save(report, arguments.json)
        _show(report)
        if arguments.plot is not None:
            draw(report, environments, arguments.plot)
    hand_in(report, no_targets if arguments.quick else targets, arguments)


def measure(crew: Crew, arguments: argparse.Namespace) -> dict[str, Any]:
    names = chosen(arguments, crew.model)
    workloads = Workloads(QUICK if arguments.quick else FULL, crew.model.vocabulary)
    load_before, meter = os.getloadavg()[0], LimitMeter(crew.settings.threads)
    bench = EngineBench(workloads, Findings(), meter, arguments.pairs, arguments.rounds)
    with crew.loaded(names, SLOTS) as contenders:
        bench.warm_up(contenders)
        options = {
            name: one.ask("options") for name, one in contenders.items() if name == "llama_cpp"
        }
        bench.race(contenders, RACES if arguments.races else GROUPS)
        if not arguments.races:
            bench.interrupt(contenders)
            bench.compare_decoding(contenders)
            bench.fill_table(contenders, FEWER)
    if not arguments.races:  # vLLM compiles for minutes for every number of slots
        with crew.loaded([name for name in names if name not in VLLM], MANY_SLOTS) as contenders:
            bench.warm_up(contenders)
            bench.fill_table(contenders, [MANY_SLOTS])
    findings, limits = bench.findings, meter.limits()
    fidelity = read_fidelity(arguments.fidelity, str(fast_dtype()).removeprefix("torch."))
    return {
        **_compared(findings, fidelity, names),
        "tokens_per_s": table(findings, names, LEVELS),
        **details(findings),
        "limits": vars(limits),
        "shares_32a": shares(findings, limits, crew.model.parameters, _weight_bytes(crew, names)),
        "options": options,
        "model": crew.model.name,
        "threads": crew.settings.threads,
        "pairs": arguments.pairs,
        "quick": arguments.quick,
        "conditions": _conditions(load_before, names),
    }


def _compared(findings: Findings, fidelity: Fidelity, names: Sequence[str]) -> dict[str, Any]:
    found = compare(findings, fidelity)
    return {
        "ratios": found.ratios | own_figures(findings),
        "best": found.best,
        "withheld": found.withheld,
        "fidelity": {name: fidelity.kl.get(name) for name in names},
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

    def race(self, contenders: Mapping[str, Contender], groups: Sequence[Group]) -> None:
        """All groups, once a pair."""
        for group in groups:
            members = _of(contenders, group.members)
            self._meter.sample()
            if members:
                rounds = group.rounds(self._pairs)
                runs = self._interleave(rounds, members, group.workload, group.concurrency)
                self.findings.races.append(Race(group.workload, group.concurrency, runs))

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
        """The cells that no race has filled; the slower number format of vLLM needs no more."""
        able = {"equal": set(ALL), "mixed": set(MIXED)}
        beaten = self.findings.beaten(VLLM)
        for level, workload in itertools.product(levels, able):
            members = {
                name: contender
                for name, contender in contenders.items()
                if name in able[workload] - beaten and not self.findings.runs(name, workload, level)
            }
            if not members:
                continue
            self._meter.sample()
            runs = self._interleave(self._rounds, members, workload, level)
            for name, batches in runs.items():
                self.findings.levels[name, workload, level] = batches

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
    """Those who take part: those for which the model has no form that they read do not."""
    names = [name for name in ALL if name in (arguments.only or ALL)]
    absent = set() if arguments.llama_cpp is not None and model.gguf is not None else {"llama_cpp"}
    absent |= set() if model.openvino is not None else set(OPENVINO_READERS)
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
    """Bytes that a step reads: files as they are, or two or four bytes a parameter."""
    plain = dict.fromkeys(names, 2 * crew.model.parameters)
    known = {"vllm_float32": 4 * crew.model.parameters}
    if crew.model.gguf is not None:
        known["llama_cpp"] = crew.model.gguf.stat().st_size
    if crew.model.openvino is not None:
        size = (crew.model.openvino / OPENVINO_MODEL).with_suffix(".bin").stat().st_size
        known |= dict.fromkeys(OPENVINO_READERS, size)
    return plain | {name: size for name, size in known.items() if name in plain}


def _show(report: Mapping[str, Any]) -> None:
    """Output tokens a second, by contender and concurrency, and what they were measured on."""
    rates = report["tokens_per_s"]
    grid = Table("output tokens/s", *(f"{w} {n}" for w in rates for n in LEVELS))
    for name in rates["equal"]:
        cells = [rates[w][name].get(str(n), "-") for w in rates for n in LEVELS]
        grid.add_row(name, *map(str, cells))
    out = Console(stderr=True)
    out.print(grid)
    conditions = report["conditions"]
    out.print(f"{conditions['cpu']}: {' '.join(conditions['features']) or 'features unknown'}")
    for name, facts in report["options"].items():
        weights = "repacked" if facts["is_repacked"] else "not repacked"
        out.print(f"{name}: weights {weights}, {facts['weights_mib']}")
    for name, reason in report["withheld"].items():
        out.print(f"{name} is withheld: {reason}", style="yellow")


def _conditions(load_before: float, names: Sequence[str]) -> dict[str, Any]:
    peers = {"llama_cpp": "llama-cpp", **dict.fromkeys(VLLM, "vllm")}
    return {
        **machine_conditions("torch", "transformers", "openvino-genai"),
        "load_before": round(load_before, 2),
        "peers": sorted({RECIPES[peers[name]].text for name in names if name in peers}),
    }


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.engine", __doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs a ratio (default 12)")
    parser.add_argument(
        "--rounds", type=int, default=2, help="runs a cell of the table (default 2)"
    )
    parser.add_argument("--only", nargs="+", choices=ALL, metavar="NAME", help=", ".join(ALL))
    parser.add_argument(
        "--races", action="store_true", help="only 1, 8 and 32 equal requests beside the peers"
    )
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
    parser.add_argument(
        "--fidelity", type=Path, default=RESULTS / "fidelity.json", help="who computes what model"
    )
    parser.add_argument("--environments", type=Path, help="keeps the environments of the others")
    parser.add_argument("--plot", type=Path, default=RESULTS / "engine.png", help="where it goes")
    parser.add_argument("--no-plot", dest="plot", action="store_const", const=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
