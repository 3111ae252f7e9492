"""Contenders of the engine benchmark on a tiny model, each in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.engine_contender import Contender
from bench.engine_workloads import QUICK, Workloads
from headrace.core.settings import Settings, as_environment
from tests.tiny_models import make_tiny_llama

OPTIONS = ["--slots", "4", "--threads", "1", "--step-tokens", "32"]


@pytest.fixture
def workloads() -> Workloads:
    return Workloads(QUICK, vocabulary=256)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_llama(tmp_path / "tiny")


def test_our_engine_runs_every_workload(model: Path, workloads: Workloads, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", model=str(model))
    options = [*OPTIONS, "--engine", "torch"]
    rows, long = workloads.interruption()
    with Contender(
        Path(sys.executable),
        "headrace_engine",
        tmp_path / "torch.log",
        options,
        as_environment(settings),
    ) as torch:
        batch = torch.batch(workloads.mixed(4), concurrency=4)
        gaps = torch.ask("interrupt", prompts=[row.encode() for row in rows], long=long.encode())
        decoding = [row.encode() for row in workloads.decoding(4)]
        step_s = torch.ask("decode", prompts=decoding)["seconds"]
        products_s = torch.ask("products")["seconds"]

    assert batch.output_tokens == sum(prompt.output_tokens for prompt in workloads.mixed(4))
    assert batch.occupancy is not None and 0.5 < batch.occupancy <= 1
    assert gaps["during_p95_s"] > 0
    assert step_s > products_s > 0


def test_static_batches_run_to_their_longest_output(
    model: Path, workloads: Workloads, tmp_path: Path
) -> None:
    prompts = workloads.mixed(4)
    longest = [max(p.output_tokens for p in batch) for batch in (prompts[:4], prompts[4:])]
    options = [*OPTIONS, "--model", str(model)]
    with Contender(
        Path(sys.executable), "static_generate", tmp_path / "static.log", options
    ) as static:
        batch = static.batch(prompts, concurrency=4)

    assert batch.output_tokens == sum(prompt.output_tokens for prompt in prompts)
    assert batch.steps == sum(longest)


def test_a_contender_that_dies_says_why(tmp_path: Path) -> None:
    options = [*OPTIONS, "--binary", str(tmp_path / "missing")]
    with (
        pytest.raises(RuntimeError, match="missing"),
        Contender(Path(sys.executable), "llama_cpp", tmp_path / "llama.log", options),
    ):
        pass
