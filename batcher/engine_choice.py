"""Which engine runs a model on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from headrace.core.settings import Settings

EngineName = Literal["torch", "openvino", "simulated"]

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
"""Of the NVIDIA driver, and of Windows' one for Linux."""


def choose_engine(settings: Settings) -> EngineName:
    """`auto` is torch on a GPU, else OpenVINO where it is installed.

    A model may turn out to be one that OpenVINO cannot read.
    """
    if settings.engine != "auto":
        return settings.engine
    if not find_spec("openvino_genai") or takes_gpu(settings):
        return "torch"
    return "openvino"


def takes_gpu(settings: Settings) -> bool:
    """Whether torch would run on a GPU."""
    return settings.device.startswith("cuda") or (settings.device == "auto" and _has_cuda())


def _has_cuda() -> bool:
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        return False  # without the seconds that importing torch takes
    import torch

    return torch.cuda.is_available()
