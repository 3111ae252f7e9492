"""What is done once for a GGUF file: it becomes a folder that OpenVINO reads in a second."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import openvino
import openvino_genai

from batcher.model_source import CONVERTED, OPENVINO_MODEL
from batcher.openvino_engine.gguf_rotary import restore_frequencies
from batcher.openvino_engine.gguf_weights import Form, form_of, restore_weights
from headrace.core.errors import ModelError

VERSION = version("openvino-genai")

_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""Nothing is computed here, and in bf16 the plugin divides by zero where a model is tiny."""


def convert_gguf(file: Path, folder: Path) -> None:
    """Makes `folder` with model and tokenizer, whose weights are those of the file.

    Raises `ModelError` for a file that OpenVINO cannot read.
    """
    read_as_openvino(file, folder)
    matrices = restore(file, folder)
    (folder / CONVERTED).write_text(json.dumps({"matrices": matrices}))


def read_as_openvino(file: Path, folder: Path) -> None:
    """Makes `folder` with model and tokenizer as OpenVINO's own reader understands the file.

    Raises `ModelError` for a file that it cannot read.
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


def restore(file: Path, folder: Path, form_of: Callable[[str], Form] = form_of) -> dict[str, int]:
    """Puts back what OpenVINO's reader changed. Returns the number of matrices in each form."""
    model = openvino.Core().read_model(folder / OPENVINO_MODEL)
    matrices = restore_weights(model, file, form_of)
    if restore_frequencies(model, file) or matrices:
        made = folder / "restored"
        openvino.save_model(model, made / OPENVINO_MODEL, compress_to_fp16=False)
        del model  # its weights are a map of the file that is replaced
        for part in made.iterdir():
            part.replace(folder / part.name)
        made.rmdir()
    return matrices


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
