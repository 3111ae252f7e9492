"""What is done once for a GGUF file: it becomes a folder that OpenVINO reads in a second."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version
from pathlib import Path

import openvino_genai

from headrace.core.errors import ModelError

VERSION = version("openvino-genai")

_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""Nothing is computed here, and in bf16 the plugin divides by zero where a model is tiny."""


def convert_gguf(file: Path, folder: Path) -> None:
    """Makes `folder` with model and tokenizer; weights stay as finely quantised as in the file.

    Raises `ModelError` for a file that OpenVINO cannot read.
    """
    folder.mkdir()
    source = folder / "model.gguf"  # what is made stands beside the file that is read
    _lay(file, source)
    scheduling = openvino_genai.SchedulerConfig()
    scheduling.num_kv_blocks = 1
    try:
        openvino_genai.Tokenizer(source, enable_save_ov_model=True)
        openvino_genai.ContinuousBatchingPipeline(
            source, scheduling, "CPU", {"enable_save_ov_model": True, **_EXACT}
        )
    except Exception as error:  # its reader raises whatever it trips over
        raise ModelError(f"OpenVINO cannot read {file}: {_last_line(error)}") from error
    finally:
        source.unlink()


def _lay(file: Path, source: Path) -> None:
    """A link, or a copy where the file must not be written to: OpenVINO opens it as if it would."""
    if os.access(file, os.W_OK):
        source.symlink_to(file)
    else:
        shutil.copyfile(file, source)


def _last_line(error: Exception) -> str:
    """The lines before it say where in OpenVINO's source it happened."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else "it does not say why"
