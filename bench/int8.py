"""The torch engine with weights of 8 bits beside itself in float32, where there is no bf16.

    python -m bench.int8 [--pairs 6] [--rows 1,8,32] [--isa AVX512_CORE_VNNI] [--vllm] [--assert]

`--isa` bounds what oneDNN uses of the processor, so that one with bf16 stands for one with VNNI
alone; `--isa DEFAULT` leaves it all. Both engines load once and take the same batches of 39 prompt
and 64 output tokens, in turned order (A B B A). Ratios are medians over the pairs with bootstrap
95 % intervals, saved after each number of rows. `kl` is what the preparation measured: nats a token
from the model in float32.

`--vllm` puts `headrace up` beside the server of vLLM under the same bound, as `bench.service
--peers` does: users stream chat completions in a closed loop. vLLM computes in float32, its faster
number format where there is no bf16; in bfloat16 its server does not start under the bound.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from batcher.model_store import prepare_model
from bench import service_peers
from bench.engine_contender import Contender
from bench.engine_workloads import FULL, QUICK, Workloads
from bench.machine_conditions import machine_conditions
from bench.pairs import alternate, console
from bench.prepared import add_models, link_models
from bench.report import command_line, hand_in, make_parser, no_targets, save
from bench.rounds import ratio
from bench.service import course
from bench.target import Target
from headrace.core.cores import with_fair_threads
from headrace.core.cpu_features import CAP
from headrace.core.fidelity import MOST_KL
from headrace.core.settings import Settings, as_environment, load_settings

DTYPES = ("int8", "float32")
ROWS = [1, 8, 32]
LEAST_RATIO = {8: 2.0}
VNNI_ALONE = "AVX512_CORE_VNNI"
VLLM = "vllm_float32"


def main() -> None:
    arguments = _parse()
    os.environ[CAP] = arguments.isa
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments)
    hand_in(report, no_targets if arguments.quick else targets, arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    link_models(folder, arguments.models)
    slots = max(arguments.rows)
    settings = load_settings(state_dir=folder, engine="torch", device="cpu", max_slots=slots)
    settings = with_fair_threads(settings)
    model = prepare_model(settings.model_copy(update={"dtype": "int8"}), console.log)
    assert model.fidelity is not None
    vocabulary = model.card.tokenizer.get_vocab_size(with_added_tokens=True)
    report: dict[str, Any] = {
        "command": command_line("bench.int8", arguments),
        "isa": arguments.isa,
        "model": model.card.name,
        "kl": model.fidelity.kl,
        "top1": model.fidelity.top1,
        "threads": settings.threads,
        "pairs": arguments.pairs,
        "conditions": machine_conditions("torch", "transformers"),
    }
    with _loaded(settings, folder) as engines:
        report["memory_mb"] = {name: _memory_mb(one.pid) for name, one in engines.items()}
        workloads = Workloads(QUICK if arguments.quick else FULL, vocabulary)
        report["rows"] = []
        for rows in arguments.rows:
            report["rows"].append(_compare(engines, rows, workloads, arguments.pairs))
            save(report, arguments.json)
    if arguments.vllm:
        service: dict[str, Any] = report | {"engines": {}}
        (folder / "service").mkdir()
        service_peers.measure(service, folder / "service", course, arguments)
        report["service"] = service["engines"]
    return report


@contextmanager
def _loaded(settings: Settings, folder: Path) -> Iterator[dict[str, Contender]]:
    options = ["--engine", "torch", "--slots", str(settings.max_slots)]
    options += ["--threads", str(settings.threads)]
    options += ["--step-tokens", str(settings.prefill_tokens)]
    with ExitStack() as stack:
        found = {}
        for dtype in DTYPES:
            environment = as_environment(settings.model_copy(update={"dtype": dtype}))
            log, started = folder / f"{dtype}.log", time.monotonic()
            engine = Contender(Path(sys.executable), "headrace_engine", log, options, environment)
            found[dtype] = stack.enter_context(engine)
            console.log(f"{dtype} loaded in {time.monotonic() - started:.1f} s")
        yield found


def _compare(
    engines: Mapping[str, Contender], rows: int, workloads: Workloads, pairs: int
) -> dict[str, Any]:
    acts = [partial(_speed, engines[dtype], rows, workloads) for dtype in DTYPES]
    for act in acts:
        act()
    speeds = alternate(pairs, *acts)
    medians = {
        f"{dtype}_tokens_per_s": round(median(each), 1)
        for dtype, each in zip(DTYPES, speeds, strict=True)
    }
    return {"rows": rows, **medians, **ratio("ratio", *speeds)}


def _speed(engine: Contender, rows: int, workloads: Workloads) -> float:
    return engine.batch(workloads.equal(rows), rows).tokens_per_s


def _memory_mb(pid: int) -> int:
    """What is the process's alone, once it has loaded."""
    return int(psutil.Process(pid).memory_full_info().uss) >> 20


def targets(report: Mapping[str, Any]) -> list[Target]:
    found = [Target("KL, nats a token", report["kl"], at_most=MOST_KL)]
    found += [
        Target(
            f"tokens/s of float32's, {row['rows']} rows",
            row["ratio"],
            at_least=LEAST_RATIO[row["rows"]],
        )
        for row in report["rows"]
        if row["rows"] in LEAST_RATIO
    ]
    service = report.get("service", {})
    for users, ours in service.get("torch", {}).get("tokens_per_s", {}).items():
        share = round(ours / service[VLLM]["tokens_per_s"][users], 3)
        found.append(Target(f"tokens/s of vLLM's, {users} users", share, at_least=1.0))
    return found


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.int8", __doc__)
    parser.add_argument("--pairs", type=int, default=6, help="pairs of each (default 6)")
    parser.add_argument("--rows", type=_numbers, default=ROWS, help="default 1,8,32")
    parser.add_argument("--isa", default=VNNI_ALONE, help=f"default {VNNI_ALONE}")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that all works")
    parser.add_argument("--vllm", action="store_true", help="vLLM's server as well (6 minutes)")
    parser.add_argument("--environments", type=Path, help="keeps the environments of the others")
    add_models(parser)
    parser.set_defaults(engines=("torch", VLLM), users=ROWS)
    parser.set_defaults(warm_up_s=1.5, seconds=4.0, prompt_tokens=39, output_tokens=64)
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
