from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from batcher.openvino_engine import trial_logits as module
from batcher.openvino_engine.paged_logits import paged_logits
from batcher.openvino_engine.pipeline import FLOAT32
from batcher.openvino_engine.trial_logits import trial_logits
from headrace.core.errors import ModelError

IDS = list(range(40, 60))


def test_another_process_computes_the_same_logits(tiny_export: Path) -> None:
    assert np.array_equal(
        trial_logits(tiny_export, FLOAT32, IDS), paged_logits(tiny_export, FLOAT32, IDS)
    )


def test_a_model_that_cannot_be_run_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot run the OpenVINO model") as refused:
        trial_logits(tmp_path, FLOAT32, IDS)
    assert "\n" not in str(refused.value)


def test_a_model_that_ends_the_process_is_an_error_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nkill -{int(signal.SIGFPE)} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(program))
    assert sys.executable == str(program)
    with pytest.raises(ModelError, match="ends OpenVINO with signal 8"):
        trial_logits(tmp_path, FLOAT32, IDS)
