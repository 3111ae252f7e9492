"""What a second worker brings where it shares the cores of the first.

    python -m bench.sharing [--engines torch openvino] [--pairs 12] [--json PATH]

`headrace up` on cores that both share, and a queue that is never empty; `headrace scaler fix` sets
one worker and two in turn (1 2 2 1 …), and the tokens of their steps are counted. The scaler takes
a second worker back where it brings less than a quarter of the first (`gain_share`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.pairs import alternate
from bench.prepared import add_models, link_models
from bench.report import hand_in, make_parser, no_targets
from bench.rounds import ratio
from bench.up import Up
from headrace.core.machine import machine

PROMPT, OUTPUT = "The cat sat on the mat and looked at the rain. " * 3, 64
WAITING = 150
"""Jobs: more than two workers take within `LOOK_S`."""

LOOK_S, POLL_S = 0.5, 0.1
SETTLE_S, COUNT_S = 2.0, 6.0
SIZED_WITHIN_S = 120.0


class FullQueue(threading.Thread):
    """Submits jobs, each with words of its own, so that some always wait."""

    def __init__(self, up: Up) -> None:
        super().__init__(name="feeder", daemon=True)
        self._up = up
        self._sent = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(LOOK_S):
            for _missing in range(WAITING - fleet_of(self._up)["queue"]["waiting"]):
                self._sent += 1
                body = {"prompt": f"{self._sent}. {PROMPT}", "max_tokens": OUTPUT}
                self._up.client.post("/v1/jobs", json=body).raise_for_status()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Fleet:
    """One deployment, whose workers are as many as a person says."""

    def __init__(self, up: Up, state: Path) -> None:
        self._up = up
        self._state = state

    def tokens_per_s(self, workers: int) -> float:
        """Of all workers together, once there are so many and all have slots in use."""
        self._resize(workers)
        time.sleep(SETTLE_S)
        before, began = self._rows(), time.monotonic()
        time.sleep(COUNT_S)
        return (self._rows() - before) / (time.monotonic() - began)

    def _resize(self, workers: int) -> None:
        command = [sys.executable, "-m", "headrace", "scaler", "fix", str(workers)]
        command += ["--state-dir", str(self._state)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        deadline = time.monotonic() + SIZED_WITHIN_S
        while self._activities() != ["ready"] * workers:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not {workers} workers, but {self._activities()}")
            time.sleep(POLL_S)

    def _activities(self) -> list[str]:
        return [worker["activity"] for worker in fleet_of(self._up)["workers"]]

    def _rows(self) -> float:
        """Of all steps so far: a row is an output token."""
        return float(fleet_of(self._up)["steps"]["r"])


def fleet_of(up: Up) -> Mapping[str, Any]:
    return dict(up.client.get("/v1/fleet").raise_for_status().json())


def main() -> None:
    arguments = _parse()
    report: dict[str, Any] = {"machine": machine(), "pairs": arguments.pairs}
    for engine in arguments.engines:
        with tempfile.TemporaryDirectory() as folder:
            report[engine] = measure(engine, Path(folder), arguments)
    hand_in(report, no_targets, arguments)


def measure(engine: str, state: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    link_models(state, arguments.models)
    with Up(state, HEADRACE_ENGINE=engine, HEADRACE_SCALER_MAX="2") as up:
        queue, fleet = FullQueue(up), Fleet(up, state)
        queue.start()
        try:
            ones, twos = alternate(
                arguments.pairs, lambda: fleet.tokens_per_s(1), lambda: fleet.tokens_per_s(2)
            )
        finally:
            queue.stop()
    return {**ratio("two_over_one", twos, ones), "one": _rounded(ones), "two": _rounded(twos)}


def _rounded(rates: list[float]) -> list[float]:
    return [round(rate, 1) for rate in rates]


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.sharing", __doc__)
    parser.add_argument("--engines", nargs="+", default=["torch", "openvino"], help="each in turn")
    parser.add_argument("--pairs", type=int, default=12, help="of each engine (default 12)")
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
