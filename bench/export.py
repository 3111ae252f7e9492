"""A folder of safetensors on CPUs beside the GGUF file that it was unpacked from.

    python -m bench.export [--pairs 6] [--models FOLDER]

Both run through `HEADRACE_ENGINE=auto`, which has to choose OpenVINO for both. Speeds are output
tokens/s at 8 and 32 requests of 39 prompt and 64 output tokens, in turned order; fidelity is that
of the prepared models, each beside its own source.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from batcher.exported import Exported
from batcher.model_store import PreparedModel, prepare_model
from bench.engine_contender import Contender
from bench.engine_model import find_model
from bench.engine_workloads import FULL, QUICK, Workloads
from bench.machine_conditions import machine_conditions
from bench.pairs import alternate, console, interval
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser, no_targets
from bench.target import Target
from headrace.core.cores import with_fair_threads
from headrace.core.fidelity import MOST_KL
from headrace.core.settings import Settings, as_environment, load_settings

LEVELS = (8, 32)
SLOTS = 32
PAIRS_A_LOAD = 2
"""Two processes of one kind may differ by a tenth for all their lives: both start anew."""

RACERS = ("folder", "gguf")
LEAST_SPEED = 0.9
"""Of the GGUF file's tokens/s."""


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = ExportBench(Path(folder), arguments).run()
    hand_in(report, no_targets if arguments.quick else targets, arguments)


class ExportBench:
    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        (folder / "state").mkdir()
        link_models(folder / "state", arguments.models)
        self._folder = folder
        self._arguments = arguments
        settings = load_settings(state_dir=folder / "state", engine="auto", device="cpu")
        self._settings = with_fair_threads(settings)

    def run(self) -> dict[str, Any]:
        model = find_model(self._settings, console.log)
        shape = QUICK if self._arguments.quick else FULL
        workloads = Workloads(shape, model.vocabulary)
        racers = {
            "folder": self._settings.model_copy(update={"model": str(model.folder)}),
            "gguf": self._settings,
        }
        prepared = {name: prepare_model(one, console.log) for name, one in racers.items()}
        return {
            "models": {name: _described(one) for name, one in prepared.items()},
            "folder_over_gguf": self._race(racers, workloads),
            "threads": self._settings.threads,
            "pairs": self._arguments.pairs,
            "quick": self._arguments.quick,
            "conditions": machine_conditions("torch", "transformers", "openvino-genai"),
        }

    def _race(self, racers: Mapping[str, Settings], workloads: Workloads) -> dict[str, Any]:
        found: dict[int, list[float]] = {level: [] for level in LEVELS}
        rates: dict[tuple[str, int], list[float]] = {}
        for load in range(-(-self._arguments.pairs // PAIRS_A_LOAD)):
            with self._loaded(racers, RACERS[:: -1 if load % 2 else 1]) as contenders:
                for level in LEVELS:
                    acts = [partial(_speed, contenders[name], workloads, level) for name in RACERS]
                    for act in acts:
                        act()
                    one, other = alternate(min(PAIRS_A_LOAD, self._arguments.pairs), *acts)
                    found[level] += [a / b for a, b in zip(one, other, strict=True)]
                    for name, speeds in zip(RACERS, (one, other), strict=True):
                        rates.setdefault((name, level), []).extend(speeds)
        report: dict[str, Any] = {
            f"{name}_tokens_per_s_{level}": round(median(speeds), 1)
            for (name, level), speeds in rates.items()
        }
        for level, each in found.items():
            report[str(level)] = round(median(each), 3)
            report[f"{level}_interval"] = [round(end, 3) for end in interval(each)]
        return report

    @contextmanager
    def _loaded(
        self, racers: Mapping[str, Settings], order: tuple[str, ...]
    ) -> Iterator[dict[str, Contender]]:
        with ExitStack() as stack:
            yield {name: stack.enter_context(self._contender(name, racers[name])) for name in order}

    def _contender(self, name: str, settings: Settings) -> Contender:
        options = ["--slots", str(SLOTS), "--threads", str(settings.threads)]
        options += ["--step-tokens", str(settings.prefill_tokens), "--engine", "openvino"]
        log, environment = self._folder / f"{name}.log", as_environment(settings)
        return Contender(Path(sys.executable), "headrace_engine", log, options, environment)


def _speed(contender: Contender, workloads: Workloads, level: int) -> float:
    return contender.batch(workloads.equal(level), level).tokens_per_s


def _described(model: PreparedModel) -> dict[str, Any]:
    exported = Exported.read(model.path)
    assert model.fidelity is not None
    return {
        "engine": model.engine,
        "form": exported.form if exported else None,
        "kl": model.fidelity.kl,
        "top1": model.fidelity.top1,
        "dtype": model.fidelity.dtype,
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    folder = report["models"]["folder"]
    kl = float("inf") if folder["kl"] is None else folder["kl"]
    found = [
        Target("engine of a folder is OpenVINO", int(folder["engine"] == "openvino"), at_least=1),
        Target("KL of the folder, nats a token", kl, at_most=MOST_KL),
    ]
    for level in LEVELS:
        ratio = report["folder_over_gguf"][str(level)]
        found.append(Target(f"tokens/s of the GGUF's, {level} rows", ratio, at_least=LEAST_SPEED))
    return found


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.export", __doc__)
    parser.add_argument("--pairs", type=int, default=6, help="pairs a ratio (default 6)")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that all works")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
