from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.engine_workloads import Prompt
from bench.peers.llama_cpp import run_batch, settle, weight_buffers

PROGRAM = """\
import sys
if {crashes} and "--no-repack" not in sys.argv:
    sys.exit("segmentation fault")
print("load_tensors:          AMX model buffer size =    70.31 MiB", file=sys.stderr)
print("load_tensors:   CPU_Mapped model buffer size =     0.12 MiB", file=sys.stderr)
print('{{"t_pp": 0.5, "t_tg": 1.5}}')
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "batched_bench.py"


def test_weights_are_repacked_where_that_runs(program: Path) -> None:
    program.write_text(PROGRAM.format(crashes=False))

    command, run = settle([sys.executable, str(program)])

    assert command == [sys.executable, str(program)]
    assert run.is_repacked
    assert run.buffers == {"AMX": 70.31, "CPU_Mapped": 0.12}


def test_where_repacking_crashes_it_runs_without(program: Path) -> None:
    program.write_text(PROGRAM.format(crashes=True))

    command, _run = settle([sys.executable, str(program)])

    assert command[-1] == "--no-repack"


def test_a_program_that_always_crashes_is_an_error(program: Path) -> None:
    program.write_text("raise SystemExit('no such model')")

    with pytest.raises(RuntimeError, match="no such model"):
        settle([sys.executable, str(program)])


def test_a_batch_takes_what_its_prompts_and_outputs_took(program: Path) -> None:
    program.write_text(PROGRAM.format(crashes=False))

    reply = run_batch([sys.executable, str(program)], [Prompt((1, 2, 3), 4)] * 5)

    assert (reply["seconds"], reply["output_tokens"], reply["steps"]) == (2.0, 20, 4)


def test_weights_as_in_the_file_are_not_repacked() -> None:
    buffers = weight_buffers("load_tensors:   CPU_Mapped model buffer size =    93.71 MiB\n")

    assert buffers == {"CPU_Mapped": 93.71}
