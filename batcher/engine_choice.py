"""Which engine runs a model on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from batcher.model_source import OPENVINO_MODEL, ModelSource
from headrace.core.settings import Settings

EngineName = Literal["torch", "openvino", "simulated"]

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
"""Of the NVIDIA driver, and of Windows' one for Linux."""


def choose_engine(settings: Settings, source: ModelSource) -> EngineName:
    """`auto` is torch on a GPU, else OpenVINO where it is installed and may read the model."""
    if settings.engine != "auto":
        return settings.engine
    if not find_spec("openvino_genai") or not may_be_openvino(source) or takes_gpu(settings):
        return "torch"
    return "openvino"


def may_be_openvino(source: ModelSource) -> bool:
    """A GGUF file may turn out to be one that OpenVINO cannot read."""
    if source.kind == "folder" and source.path is not None:
        return (source.path / OPENVINO_MODEL).is_file()
    return source.kind == "gguf"


def takes_gpu(settings: Settings) -> bool:
    """Whether torch would run on a GPU."""
    return settings.device.startswith("cuda") or (settings.device == "auto" and _has_cuda())


def _has_cuda() -> bool:
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        return False  # without the seconds that importing torch takes
    import torch

    return torch.cuda.is_available()
