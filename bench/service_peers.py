"""Our service beside the servers of vLLM and llama.cpp, under the same load.

All servers load once; only one has users at a time, in turned order.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.progress import track

from bench.closed_loop import Answer, Course, first_token_s, tokens_within
from bench.engine_contender import Contender
from bench.engine_model import ModelFiles, find_model
from bench.environments import RECIPES, Environments
from bench.pairs import console
from bench.peer_server import PeerServer, llama_server, vllm_server
from bench.prepared import link_models
from bench.report import save
from bench.service_report import first_token_ms
from bench.service_sides import Run, deployment, service_users
from bench.up import Up
from headrace.core.cores import with_fair_threads
from headrace.core.settings import Settings, load_settings

VLLM = ("vllm_float32", "vllm_bfloat16")
PEERS = (*VLLM, "llama_cpp")
ALL = ("openvino", "torch", *PEERS)
USERS = [1, 8, 32]
ROUNDS = 3

MakeCourse = Callable[[int, int, argparse.Namespace], Course]


def measure(
    report: dict[str, Any], folder: Path, course: MakeCourse, arguments: argparse.Namespace
) -> None:
    """Fills in and saves the report, after every round of a number of users."""
    names = arguments.engines
    environments = Environments(arguments.environments or folder, console.log)
    used = {RECIPES[_recipe(name)].text for name in names if name in PEERS}
    report["conditions"]["peers"] = sorted(used)
    found: dict[str, dict[int, list[Run]]] = {name: {} for name in names}
    with _served(names, folder, environments, arguments.models) as users:
        for number in track(range(arguments.pairs), "rounds", console=console):
            for level in arguments.users:
                for name in names if number % 2 == 0 else reversed(names):
                    run = _run(users[name], course(level, number, arguments))
                    found[name].setdefault(level, []).append(run)
                report["engines"] = {name: figures(runs) for name, runs in found.items()}
                save(report, arguments.json)


def figures(runs: Mapping[int, Sequence[Run]]) -> dict[str, Any]:
    """Figures of one server, by number of users."""
    return {
        "tokens_per_s": {
            str(users): round(statistics.median(run.tokens_per_s for run in each), 1)
            for users, each in runs.items()
        },
        "ttft_p50_ms": first_token_ms(runs, 50),
        "ttft_p95_ms": first_token_ms(runs, 95),
        "rounds": {str(users): len(each) for users, each in runs.items()},
    }


@contextmanager
def _served(
    names: Sequence[str], folder: Path, environments: Environments, models: Path | None
) -> Iterator[dict[str, Contender]]:
    """Users of each server, all of which are loaded."""
    link_models(folder, models)
    settings = with_fair_threads(load_settings(state_dir=folder))
    model = find_model(settings, console.log) if set(names) & set(PEERS) else None
    with ExitStack() as stack:
        found = {}
        for name in names:
            console.log(f"starting {name}")
            server = _server(name, folder, model, environments, settings)
            stack.enter_context(server)
            options = ["--close"] if name == "llama_cpp" else []
            users = service_users(server.url, folder / f"{name}-users.log", *options)
            found[name] = stack.enter_context(users)
        yield found


def _server(
    name: str,
    folder: Path,
    model: ModelFiles | None,
    environments: Environments,
    settings: Settings,
) -> Up | PeerServer:
    """One that has not been started. `model` is what the servers of others read."""
    if name in PEERS:
        assert model is not None
        if name == "llama_cpp":
            return llama_server(model, environments, settings)
        return vllm_server(name.removeprefix("vllm_"), model, environments, settings)
    state = folder / f"{name}-state"
    state.mkdir()
    link_models(state, settings.models_dir)
    return deployment(name, state)


def _run(users: Contender, course: Course) -> Run:
    answers = [Answer.decode(fields) for fields in users.ask("run", **course.encode())["answers"]]
    tokens = tokens_within(answers, course)
    return Run(tokens, course.seconds, first_token_s(answers, course), {}, 0.0)


def _recipe(name: str) -> str:
    return "vllm" if name in VLLM else "llama-server"
