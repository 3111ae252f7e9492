"""Throws requests that cost much at a deployment, while a neighbour's stream is timed.

    python -m tests.neighbour_fuzzing [--models FOLDER] [--engine openvino] [--seeds 3]

Exits with 1 where an answer was a 5xx (a schema that is not decided yet may be asked for again, a
wait may end), none came, or p99 between the neighbour's tokens was more than 3 steps. The steps of
the simulated engine are 40 ms; those of others are measured before. Machines that others use as
well have steps of their own: `--noise-s` is how long one may take on such a machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from batcher.model_store import prepare_model
from headrace.core.settings import Settings
from tests import hostile_bodies
from tests.deployment import Deployment
from tests.gap_watch import GapWatch, quantile
from tests.waiting import eventually

STEPS = 3
ANSWER_S = 30.0
SETTINGS = {
    "HEADRACE_SIMULATED_ALPHA_S": "0.04",
    "HEADRACE_SIMULATED_BETA_S": "0",
    "HEADRACE_SIMULATED_GAMMA_S": "0",
    "HEADRACE_MAX_WAIT_S": "5",
}
MAY_COME = {"schema_undecided"}
PROMPT = "1 2 3 4 5 6 7 8 9 10"


@dataclass(frozen=True)
class Shot:
    """One hostile request, when it was sent, and what came of it."""

    name: str
    status: int | None
    code: str
    began: float
    seconds: float

    @property
    def is_wrong(self) -> bool:
        if self.status is None:
            return True
        return self.status >= 500 and self.status != 504 and self.code not in MAY_COME


def shoot(url: str, dice: random.Random) -> Sequence[Shot]:
    with httpx.Client(base_url=url, timeout=ANSWER_S) as client:
        return [_shot(client, *each) for each in hostile_bodies.requests(dice)]


def _shot(client: httpx.Client, name: str, route: str, body: bytes) -> Shot:
    began = time.monotonic()
    status, code = None, ""
    try:
        headers = {"Content-Type": "application/json"}
        answer = client.post(route, content=body, headers=headers)
        status = answer.status_code
        code = str(answer.json().get("error", {}).get("code")) if status >= 400 else ""
    except httpx.TimeoutException:
        code = "no answer"
    except httpx.TransportError:
        status = 413  # refused in the middle of its body
    return Shot(name, status, code, began, time.monotonic() - began)


def step_s(deployment: Deployment) -> float:
    """Median gap between the tokens of a stream while nobody else asks."""
    watch = GapWatch(deployment, PROMPT, max_tokens=60)
    watch.start()
    eventually(lambda: len(watch.gaps_s) >= 100, 100)
    watch.stop()
    return quantile(watch.gaps_s, 0.5)


def judge(shots: Sequence[Shot], gaps_s: list[float], step: float, noise_s: float) -> list[str]:
    """What is wrong, a line each."""
    wrong = [f"{shot.name}: {shot.status} {shot.code}" for shot in shots if shot.is_wrong]
    p99, most = quantile(gaps_s, 0.99), max(STEPS * step, noise_s)
    if p99 > most:
        wrong.append(f"p99 between the neighbour's tokens {p99:.3f} s, at most {most:.3f} s")
    return wrong


def fuzz(deployment: Deployment, seeds: int, noise_s: float) -> list[str]:
    step, shots = step_s(deployment), list[Shot]()
    watch = GapWatch(deployment, PROMPT, max_tokens=200)
    watch.start()
    for seed in range(seeds):
        shots += shoot(deployment.url, random.Random(seed))
    watch.stop()
    slowest = sorted(shots, key=lambda shot: shot.seconds)[-5:]
    print(
        f"{len(shots)} requests, {len(watch.gaps_s)} gaps: median"
        f" {quantile(watch.gaps_s, 0.5):.3f}, p99 {quantile(watch.gaps_s, 0.99):.3f}, longest"
        f" {max(watch.gaps_s):.3f}; a step {step:.3f}"
    )
    for shot in slowest:
        print(f"slow: {shot.name} {shot.seconds:.2f} s, {shot.status} {shot.code}")
    return judge(shots, watch.gaps_s, step, noise_s)


def main() -> int:
    arguments = _parse()
    settings = SETTINGS | {"HEADRACE_ENGINE": arguments.engine}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = Settings(state_dir=folder / "prepared", model="smollm2", engine=arguments.engine)
        if arguments.models is None:
            prepare_model(own, print)
        deployment = Deployment(folder, arguments.models or own.models_dir, **settings)
        try:
            deployment.start()
            wrong = fuzz(deployment, arguments.seeds, arguments.noise_s)
        finally:
            deployment.close()
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=lambda text: Path(text).absolute())
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noise-s", type=float, default=0.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
