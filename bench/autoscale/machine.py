"""The machine that is simulated: how long a step of a worker takes, fitted on measured runs."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine_workloads import FULL, MIXED_A_SLOT
from headrace.planning.machine import Machine
from scaler.step_curve import StepCurve

ENGINE = "torch"
SLOTS = 32


@dataclass(frozen=True)
class Fitted(Machine):
    """`error` is the largest relative error of the curve on the measured points."""

    error: float = 0.0

    def encode(self) -> dict[str, Any]:
        return {"engine": ENGINE, "slots": self.slots, "error": self.error} | asdict(self.curve)


def fit_machine(results: Path, slots: int = SLOTS) -> Fitted:
    """Least squares over the measured tokens a second at 1, 8, 32 and 64 requests, of both shapes.

    `r` rows that make `rate` tokens/s take r / rate seconds a step, in which each row brings
    prompt tokens / output tokens of its workload. Rows: requests, times the measured occupancy
    where requests of many lengths follow one another.
    """
    report = json.loads(results.read_text())
    rows = []
    for workload in ("equal", "mixed"):
        for level, rate in report["tokens_per_s"][workload][ENGINE].items():
            requests = int(level)
            mixed = workload == "mixed" and requests > 1
            filled = requests * (report["occupancy"][ENGINE]["occupancy_32b"] if mixed else 1.0)
            prompts = filled * _prompts_an_output(workload, requests)
            rows.append((1.0, filled, prompts, filled / rate))
    points = np.array(rows)
    weights = 1 / points[:, 3:]
    solution = np.linalg.lstsq(points[:, :3] * weights, np.ones(len(points)), rcond=None)[0]
    errors = np.abs(points[:, :3] @ solution / points[:, 3] - 1)
    alpha, beta, gamma = (round(float(value), 7) for value in solution)
    return Fitted(StepCurve(alpha, beta, gamma), slots, round(float(errors.max()), 3))


def _prompts_an_output(workload: str, requests: int) -> float:
    if workload == "equal":
        return FULL.prompt / FULL.output
    lengths = random.Random(0)
    prompts = outputs = 0
    for _request in range(MIXED_A_SLOT * requests):
        prompts += lengths.randint(*FULL.mixed_prompts)
        outputs += lengths.randint(*FULL.mixed_outputs)
    return prompts / outputs
