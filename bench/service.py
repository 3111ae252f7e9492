"""Tokens/s and first tokens through HTTP and the queue, beside the same engine called directly.

    python -m bench.service [--engines openvino ...] [--users 8,32] [--pairs 12] [--assert]
    python -m bench.service --peers [--engines NAME ...] [--environments FOLDER]

`headrace up` with its own Redis, API and worker serves streams to users in a process of their own.
Another process holds the same model with the same settings and takes the same requests directly: 39
prompt tokens, and 32 to 96 output tokens. In both a user sends its next request once the last one
is answered; with more users than slots some wait. Both sides load once, and one computes at a time,
in turned order (A B B A). A run has a warm-up and a window in which the tokens that come are
counted, and the CPU time (user and system) of every process.

Ratios are medians over the pairs with bootstrap 95 % intervals. `idle_cores` is what the side that
waits uses meanwhile. The result is written after every pair, so that a run may be cut off.

`--peers` puts the servers of vLLM and llama.cpp under the same load instead, beside ours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from bench import service_peers as peers
from bench.closed_loop import Course
from bench.machine_conditions import machine_conditions
from bench.pairs import console
from bench.prepared import add_models
from bench.report import RESULTS, command_line, hand_in, make_parser, no_targets, save
from bench.service_report import SLOTS, engine_report, targets
from bench.service_sides import LAW_S, Run, Sides, loaded
from bench.target import Target
from headrace.core.cores import with_fair_threads
from headrace.core.settings import load_settings

ENGINES = ("openvino", "torch", "simulated")
USERS = [1, 8, SLOTS, 64]
PAIRS = 12
LEAD_S = 0.5
"""Seconds that a process may take to get a run's requests ready."""


def main() -> None:
    arguments = _parse()
    report = describe(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.peers:
            peers.measure(report, Path(folder), course, arguments)
        else:
            measure(report, Path(folder), arguments)
    hand_in(report, no_targets if arguments.peers else _targets, arguments)


def describe(arguments: argparse.Namespace) -> dict[str, Any]:
    """The beginning of every report; its engines are filled in as they are measured."""
    settings = with_fair_threads(load_settings())
    return {
        "engines": {},
        "command": command_line("bench.service", arguments),
        "conditions": machine_conditions("torch", "transformers", "openvino-genai", "gunicorn"),
        "slots": settings.max_slots,
        "threads": settings.threads,
        "prompt_tokens": arguments.prompt_tokens,
        "output_tokens": arguments.output_tokens,
        "warm_up_s": arguments.warm_up_s,
        "seconds_a_run": arguments.seconds,
    }


def _targets(report: dict[str, Any]) -> Sequence[Target]:
    return targets(report["engines"])


def measure(report: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> None:
    """Fills in and saves the report, one engine after another."""
    report["simulated_law_s"] = LAW_S
    for engine in arguments.engines:
        with loaded(engine, folder, arguments.models) as sides:
            found: dict[int, list[tuple[Run, Run]]] = {users: [] for users in arguments.users}
            for number in track(range(arguments.pairs), f"pairs, {engine}", console=console):
                for users in arguments.users:
                    found[users].append(pair(sides, users, number, arguments))
                    report["engines"][engine] = engine_report(found)
                    save(report, arguments.json)


def pair(sides: Sides, users: int, number: int, arguments: argparse.Namespace) -> tuple[Run, Run]:
    """A run of each side with the same requests, the service first in every other pair."""
    if number % 2:
        direct = sides.directly(course(users, number, arguments))
        return sides.service(course(users, number, arguments)), direct
    service = sides.service(course(users, number, arguments))
    return service, sides.directly(course(users, number, arguments))


def course(users: int, number: int, arguments: argparse.Namespace) -> Course:
    """A run that begins at once; those with another number send other prompts."""
    return Course(
        users=users,
        seed=1000 * users + number,
        begins_at=time.monotonic() + LEAD_S,
        warm_up_s=arguments.warm_up_s,
        seconds=arguments.seconds,
        prompt_tokens=arguments.prompt_tokens,
        output_tokens=arguments.output_tokens,
    )


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.service", __doc__)
    parser.set_defaults(json=None)
    every = (*ENGINES, *peers.PEERS)
    parser.add_argument(
        "--engines", nargs="+", choices=every, metavar="NAME", help=", ".join(every)
    )
    parser.add_argument("--users", type=_numbers, help="default 1,8,32,64; 1,8,32 with --peers")
    parser.add_argument(
        "--pairs",
        type=int,
        help="of each number of users (default 12; with --peers 3 rounds)",
    )
    parser.add_argument("--warm-up-s", type=float, default=1.5, help="of a run (default 1.5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a window (default 4)")
    parser.add_argument("--prompt-tokens", type=int, default=39, help="of a request (default 39)")
    parser.add_argument(
        "--output-tokens", type=int, default=64, help="on average, half to one and a half"
    )
    parser.add_argument("--peers", action="store_true", help="the servers of others, beside ours")
    parser.add_argument("--environments", type=Path, help="keeps the environments of the others")
    add_models(parser)
    arguments = parser.parse_args()
    if not arguments.peers and set(arguments.engines or ()) - set(ENGINES):
        parser.error("the servers of others run with --peers alone")
    return _completed(arguments)


def _completed(arguments: argparse.Namespace) -> argparse.Namespace:
    """The same with what was not said."""
    is_peers = arguments.peers
    name = "service_peers.json" if is_peers else "service.json"
    arguments.json = arguments.json or RESULTS / name
    arguments.engines = arguments.engines or (peers.ALL if is_peers else ENGINES)
    arguments.users = arguments.users or (peers.USERS if is_peers else USERS)
    arguments.pairs = arguments.pairs or (peers.ROUNDS if is_peers else PAIRS)
    return arguments


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
