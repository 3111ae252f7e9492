"""make bench-fidelity runs: once, tiny."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from gguf import GGMLQuantizationType as Kind

from bench.fidelity import FORMS, OURS
from bench.fidelity_table import markdown
from tests.tiny_models import make_tiny_llama_gguf

ROOT = Path(__file__).parents[2]


def test_the_benchmark_of_fidelity_runs(tmp_path: Path) -> None:
    file = make_tiny_llama_gguf(tmp_path / "gguf", kind=Kind.Q4_1)
    found = tmp_path / "fidelity.json"
    command = [sys.executable, "-m", "bench.fidelity", "--quick", "--pairs", "1", "--json"]
    environment = os.environ | {"HEADRACE_MODEL": str(file), "HEADRACE_MAX_SLOTS": "4"}
    subprocess.run([*command, str(found)], cwd=ROOT, env=environment, check=True)
    report = json.loads(found.read_text())
    assert report["engines"].keys() == {*OURS, *FORMS}
    assert report["engines"]["openvino_float32"]["kl"] <= 0.001
    assert all(engine["tokens_per_s_32"] > 0 for engine in report["engines"].values())
    assert "the default" in markdown(report)
