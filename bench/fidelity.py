"""How truly every engine and number format of this machine answers, and how fast.

    python -m bench.fidelity [--pairs 12] [--peers] [--models FOLDER] [--environments FOLDER]

Each is compared with the model as its file defines it, dequantised, in float32, on the first 6,000
characters of LICENSE and on a text of prose: KL in nats a token, the share of places with the same
most likely token, its perplexity by the model's. Speeds are output tokens/s at 1 and 32 requests of
39 prompt and 64 output tokens, in turned order.

openvino_rounded      the copy that OpenVINO's own reader makes of a GGUF file
openvino_real_zero    every matrix put back in one form, see batcher/openvino_engine/block_codes.py
openvino_fine_steps   every matrix put back in the other

`--peers` adds vLLM and llama.cpp, on LICENSE alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from batcher.fidelity.comparison import compare
from batcher.fidelity.measuring import served_logits
from batcher.fidelity.record import RECORD
from batcher.fidelity.reference import reference_logprobs
from batcher.model_source import resolve_source
from batcher.model_store import PreparedModel, prepare_model
from batcher.openvino_engine.block_codes import fine_steps, real_zero
from batcher.openvino_engine.gguf_weights import Form
from batcher.openvino_engine.preparation import read_as_openvino, restore
from bench.engine_contender import Contender
from bench.engine_crew import VLLM, Crew
from bench.engine_model import find_model
from bench.engine_workloads import FULL, QUICK, Workloads
from bench.environments import Environments
from bench.machine_conditions import machine_conditions
from bench.pairs import alternate, console, interval
from bench.peer_fidelity import Passage, measure, rounded
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser, no_targets
from bench.rounds import interleave
from bench.target import Target
from headrace.core.cores import with_fair_threads
from headrace.core.settings import Settings, as_environment, load_settings

ROOT = Path(__file__).parents[1]
LICENSE_CHARACTERS = 6_000
PROSE = ROOT / "tests" / "data" / "prose.txt"
LEVELS = (1, 32)
SLOTS = 32
ROUNDS = 3
PAIRS_A_LOAD = 2
RACERS = ("openvino", "openvino_rounded")

OURS: Mapping[str, dict[str, str]] = {
    "openvino": {"engine": "openvino"},
    "openvino_float32": {"engine": "openvino", "dtype": "float32"},
    "openvino_bfloat16": {"engine": "openvino", "dtype": "bfloat16"},
    "torch_float32": {"engine": "torch", "dtype": "float32"},
    "torch_bfloat16": {"engine": "torch", "dtype": "bfloat16"},
}
FORMS: Mapping[str, Form | None] = {
    "openvino_rounded": None,
    "openvino_real_zero": real_zero,
    "openvino_fine_steps": fine_steps,
}
MOST_KL = {"openvino_float32": 0.001, "torch_float32": 0.001, "openvino": 0.003}
MOST_KL_OF_ALL, LEAST_TOP1 = 0.01, 0.97
LEAST_SPEED = 0.95
"""Of the rounded copy's."""


@dataclass(frozen=True)
class Text:
    """`reference` [ids, vocabulary] are the model's own logprobs."""

    text: str
    ids: Sequence[int]
    reference: np.ndarray


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        report = FidelityBench(Path(folder), arguments).run()
    hand_in(report, no_targets if arguments.quick else targets, arguments)


class FidelityBench:
    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        (folder / "state").mkdir()
        link_models(folder / "state", arguments.models)
        self._folder = folder
        self._arguments = arguments
        self._settings = with_fair_threads(load_settings(state_dir=folder / "state"))
        self._workloads: Workloads
        self._environments = Environments(arguments.environments or folder, console.log)

    def run(self) -> dict[str, Any]:
        crew = Crew(
            self._settings,
            find_model(self._settings, console.log),
            self._environments,
            self._folder,
        )
        shape = QUICK if self._arguments.quick else FULL
        self._workloads = Workloads(shape, crew.model.vocabulary)
        variants = self._variants()
        models = {name: prepare_model(one, console.log) for name, one in variants.items()}
        texts = self._texts(models["openvino"])
        engines = {
            name: _compare_with(texts, self._answers(variants[name], model))
            for name, model in models.items()
        }
        ratios = self._race({name: variants[name] for name in RACERS})
        with self._loaded(variants) as contenders:
            for name, rates in self._rates(contenders).items():
                engines[name] |= rates
        if self._arguments.peers:
            engines |= self._peers(crew, texts["license"])
        return {
            "engines": engines,
            "faithful_over_rounded": ratios,
            "threads": self._settings.threads,
            "pairs": self._arguments.pairs,
            "quick": self._arguments.quick,
            "conditions": machine_conditions("torch", "transformers", "openvino-genai"),
        }

    def _variants(self) -> dict[str, Settings]:
        """Settings by name; the forms are prepared in state folders of their own."""
        ours = {name: self._settings.model_copy(update=one) for name, one in OURS.items()}
        faithful = prepare_model(ours["openvino"], console.log).path
        file = resolve_source(self._settings.model).path
        assert file is not None, "a GGUF file is needed"
        for name, form in FORMS.items():
            state = self._folder / name
            home = state / "models" / faithful.parent.name
            shutil.copytree(faithful.parent, home, ignore=shutil.ignore_patterns(RECORD))
            _convert(file, home / "openvino", form)
            changes = {"engine": "openvino", "state_dir": state, "accept_infidelity": True}
            ours[name] = self._settings.model_copy(update=changes)
        return ours

    def _texts(self, model: PreparedModel) -> dict[str, Text]:
        licence = (ROOT / "LICENSE").read_text()[:LICENSE_CHARACTERS]
        passages = {"license": licence, "prose": PROSE.read_text()}
        return {name: self._text(text, model) for name, text in passages.items()}

    def _text(self, text: str, model: PreparedModel) -> Text:
        ids = model.card.tokenize(text)[: 64 if self._arguments.quick else None]
        return Text(text, ids, self._reference(model, ids))

    def _reference(self, model: PreparedModel, ids: Sequence[int]) -> np.ndarray:
        file = resolve_source(self._settings.model).path
        assert file is not None
        return reference_logprobs(file, ids, model.card.context_tokens)

    def _answers(
        self, settings: Settings, model: PreparedModel
    ) -> Callable[[Sequence[int]], np.ndarray]:
        return lambda ids: served_logits(settings, model.engine, model.path, ids)

    @contextmanager
    def _loaded(self, variants: Mapping[str, Settings]) -> Iterator[dict[str, Contender]]:
        with ExitStack() as stack:
            yield {
                name: stack.enter_context(self._contender(name, settings))
                for name, settings in variants.items()
            }

    def _contender(self, name: str, settings: Settings) -> Contender:
        options = ["--slots", str(SLOTS), "--threads", str(settings.threads)]
        options += ["--step-tokens", str(settings.prefill_tokens), "--engine", settings.engine]
        log, environment = self._folder / f"{name}.log", as_environment(settings)
        return Contender(Path(sys.executable), "headrace_engine", log, options, environment)

    def _race(self, pair: dict[str, Settings]) -> dict[str, Any]:
        """The default beside the copy that OpenVINO's reader makes, at both levels.

        Two processes of one kind may differ by a tenth for all their lives, so both are started
        anew, in turned order, for every few pairs.
        """
        found: dict[int, list[float]] = {level: [] for level in LEVELS}
        for load in range(-(-self._arguments.pairs // PAIRS_A_LOAD)):
            order = dict(reversed(pair.items())) if load % 2 else pair
            with self._loaded(order) as contenders:
                for level in LEVELS:
                    acts = [partial(self._speed, contenders[name], level) for name in RACERS]
                    for act in acts:
                        act()
                    one, other = alternate(min(PAIRS_A_LOAD, self._arguments.pairs), *acts)
                    found[level] += [a / b for a, b in zip(one, other, strict=True)]
        ratios: dict[str, Any] = {}
        for level, each in found.items():
            ratios[str(level)] = round(median(each), 3)
            ratios[f"{level}_interval"] = [round(end, 3) for end in interval(each)]
        return ratios

    def _rates(self, contenders: Mapping[str, Contender]) -> dict[str, dict[str, float]]:
        rates: dict[str, dict[str, float]] = {name: {} for name in contenders}
        for level in LEVELS:
            acts = {
                name: lambda one=one, level=level: self._speed(one, level)
                for name, one in contenders.items()
            }
            for name, speeds in interleave(ROUNDS, acts, f"equal {level}").items():
                rates[name][f"tokens_per_s_{level}"] = round(median(speeds), 1)
        return rates

    def _speed(self, contender: Contender, level: int) -> float:
        return contender.batch(self._workloads.equal(level), level).tokens_per_s

    def _peers(self, crew: Crew, text: Text) -> dict[str, dict[str, float]]:
        program = self._environments.binary("llama-cpp", "llama-batched-bench")
        with_llama = Crew(crew.settings, crew.model, crew.environments, crew.logs, program)
        openvino = prepare_model(self._settings.model_copy(update=OURS["openvino"]), console.log)
        passage = Passage(text.text, text.ids, lambda ids: self._reference(openvino, ids))
        found = {}
        for name in (*VLLM, "llama_cpp"):
            with with_llama.contender(name, SLOTS) as contender:
                found[name] = measure(contender, passage, self._workloads, self._folder)
        return found


def _convert(file: Path, folder: Path, form: Form | None) -> None:
    """Replaces the model in a prepared folder by another conversion of the same file."""
    made = folder.with_name("made")
    read_as_openvino(file, made)
    if form is not None:
        restore(file, made, lambda _name: form)
    for part in made.iterdir():
        part.replace(folder / part.name)
    made.rmdir()


def _compare_with(
    texts: Mapping[str, Text], answers: Callable[[Sequence[int]], np.ndarray]
) -> dict[str, Any]:
    """The worst of the texts, and each by itself."""
    found = {
        name: rounded(compare(text.reference, answers(text.ids), text.ids[1:]))
        for name, text in texts.items()
    }
    return {
        "kl": max(one["kl"] for one in found.values()),
        "top1": min(one["top1"] for one in found.values()),
        "perplexity_ratio": max(one["perplexity_ratio"] for one in found.values()),
        "texts": found,
    }


def targets(report: Mapping[str, Any]) -> list[Target]:
    found: list[Target] = []
    for name, engine in report["engines"].items():
        if name in OURS:
            most = MOST_KL.get(name, MOST_KL_OF_ALL)
            found.append(Target(f"KL of {name}, nats a token", engine["kl"], at_most=most))
            found.append(Target(f"same token, {name}", engine["top1"], at_least=LEAST_TOP1))
    for level in LEVELS:
        ratio = report["faithful_over_rounded"][str(level)]
        name = f"tokens/s of the rounded copy's, {level} rows"
        found.append(Target(name, ratio, at_least=LEAST_SPEED))
    return found


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.fidelity", __doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs a ratio (default 12)")
    parser.add_argument("--peers", action="store_true", help="vLLM and llama.cpp as well")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that all works")
    add_models(parser)
    parser.add_argument("--environments", type=Path, help="keeps the environments of the others")
    return parser.parse_args()


if __name__ == "__main__":
    main()
