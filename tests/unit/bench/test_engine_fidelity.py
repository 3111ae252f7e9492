from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.engine_fidelity import Fidelity, read_fidelity


@pytest.fixture
def file(tmp_path: Path) -> Path:
    engines = {
        "openvino": {"kl": 0.002, "top1": 0.98},
        "torch_float32": {"kl": 0.0},
        "torch_bfloat16": {"kl": 0.003},
        "llama_cpp": {"kl": 0.02},
    }
    path = tmp_path / "fidelity.json"
    path.write_text(json.dumps({"engines": engines}))
    return path


def test_who_runs_an_engine_s_weights_has_its_figure(file: Path) -> None:
    kl = read_fidelity(file, "bfloat16").kl

    assert kl["openvino_bare"] == kl["openvino"] == 0.002
    assert {kl[name] for name in ("torch", "static", "generate_batch")} == {0.003}
    assert read_fidelity(file, "float32").kl["torch"] == 0.0


def test_those_close_to_the_model_may_be_compared(file: Path) -> None:
    assert read_fidelity(file, "bfloat16").objection("openvino", "torch") is None


def test_one_that_is_far_from_it_may_not(file: Path) -> None:
    objection = read_fidelity(file, "bfloat16").objection("openvino", "llama_cpp")

    assert objection == "llama_cpp is 0.02 nats a token from its model"


def test_the_limit_itself_is_still_alike() -> None:
    assert Fidelity({"torch": 0.01}).objection("torch") is None


def test_one_that_nobody_measured_may_not(file: Path, tmp_path: Path) -> None:
    assert "make bench-fidelity" in str(read_fidelity(file, "bfloat16").objection("vllm_float32"))
    assert read_fidelity(tmp_path / "absent.json", "bfloat16").kl == {}


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_missing_dtype_leaves_torch_unmeasured(dtype: str, tmp_path: Path) -> None:
    file = tmp_path / "fidelity.json"
    file.write_text(json.dumps({"engines": {f"torch_{dtype}": {"kl": 0.0}}}))

    other = {"bfloat16": "float32", "float32": "bfloat16"}[dtype]
    assert read_fidelity(file, dtype).objection("torch") is None
    assert read_fidelity(file, other).objection("torch") is not None
