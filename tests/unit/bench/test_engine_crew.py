from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.engine_crew import ALL, Crew
from bench.engine_model import ModelFiles
from bench.environments import Environments
from bench.vllm_variables import vllm_variables
from headrace.core.settings import Settings


class Made(Environments):
    """Those that nobody has to install."""

    def python(self, name: str) -> Path:
        return self.home(name) / "bin" / "python"


@pytest.fixture
def crew(tmp_path: Path) -> Crew:
    model = ModelFiles("tiny", Path("/weights"), Path("/openvino"), Path("/tiny.gguf"), 320)
    environments = Made(tmp_path, lambda _text: None)
    return Crew(Settings(threads=1), model, environments, tmp_path, Path("/llama-batched-bench"))


@pytest.mark.parametrize("name", ALL)
def test_every_contender_has_a_module_and_a_place_to_run(name: str, crew: Crew) -> None:
    command = crew.contender(name, slots=4).command

    module = command[2].removeprefix("bench.peers.")
    assert (Path(__file__).parents[3] / "bench" / "peers" / f"{module}.py").is_file()
    assert command[0].endswith("/bin/python") or command[0] == sys.executable


def test_openvino_called_directly_loads_what_our_engine_loads(crew: Crew) -> None:
    command = crew.contender("openvino_bare", slots=4).command

    assert command[command.index("--model") + 1] == "/openvino"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vllm_is_told_its_number_format(dtype: str, crew: Crew) -> None:
    command = crew.contender(f"vllm_{dtype}", slots=4).command

    assert command[command.index("--dtype") + 1] == dtype
    assert command[command.index("--model") + 1] == "/weights"


def test_vllm_has_as_many_threads_as_everybody(tmp_path: Path) -> None:
    variables = vllm_variables(tmp_path, threads=1)

    assert variables["OMP_NUM_THREADS"] == "1"
    assert variables["KMP_AFFINITY"].count(",") == 2
    assert variables["LD_PRELOAD"].split(":")[0] == str(tmp_path / "lib" / "libiomp5.so")
