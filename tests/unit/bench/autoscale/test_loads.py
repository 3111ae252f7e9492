from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from bench.autoscale.loads import LOADS, load_of_file
from bench.autoscale.machine import fit_machine
from bench.autoscale.trace import AZURE, read_trace
from bench.report import RESULTS
from headrace.planning.machine import Machine
from scaler.step_curve import StepCurve

MACHINE = Machine(StepCurve(0.03, 0.0003, 0.0009), slots=32)


@pytest.mark.parametrize("name", LOADS)
def test_every_load_comes_in_order_and_anew_with_each_seed(name: str) -> None:
    first, again, other = (LOADS[name].draw(MACHINE, seed) for seed in (1, 1, 2))

    assert (np.diff(first.arrivals) >= 0).all()
    assert first.arrivals == again.arrivals
    assert first.arrivals != other.arrivals
    assert first.arrivals[-1] < first.seconds
    assert len(first.arrivals) == len(first.prompts) == len(first.outputs)


def test_gamma_bursts_have_their_coefficient_of_variation() -> None:
    for name, cv in (("gamma-2", 2), ("gamma-5", 5)):
        gaps = np.concatenate([np.diff(LOADS[name].draw(MACHINE, s).arrivals) for s in range(10)])
        assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.25)


def test_a_step_is_ten_times_what_was_before() -> None:
    arrivals = np.concatenate([LOADS["step"].draw(MACHINE, s).arrivals for s in range(20)])
    before, after = (arrivals < 120).sum() / 120, (arrivals >= 120).sum() / 780

    assert after / before == pytest.approx(10, rel=0.1)


def test_the_azure_trace_is_whole() -> None:
    trace = read_trace(AZURE)

    assert len(trace) == 19_366
    assert trace.seconds == pytest.approx(3502, abs=1)
    assert np.median(trace.outputs) == 129


def test_a_trace_of_ones_own_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:50.5000000,8,2\n2023-11-16 18:15:48.2500000,7,0\n"
    )
    trace = read_trace(file)

    assert trace.arrivals == pytest.approx([0.0, 2.25])
    assert (trace.prompts, trace.outputs) == ([7, 8], [1, 2])
    assert len(load_of_file(file).draw(MACHINE, 0)) == 2


def test_a_file_without_those_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.csv.gz"
    file.write_bytes(gzip.compress(b"a,b\n1,2\n"))

    with pytest.raises(ValueError, match="ContextTokens"):
        read_trace(file)


def test_the_machine_is_the_engine_that_was_measured() -> None:
    machine = fit_machine(RESULTS / "engine.json")

    assert machine.error < 0.2
    assert min(machine.curve.alpha, machine.curve.beta, machine.curve.gamma) > 0
