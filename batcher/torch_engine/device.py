"""The device that a worker's model runs on."""

from __future__ import annotations

import os

import torch

from headrace.core.errors import ModelError
from headrace.core.settings import Settings, variable

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def pick_device(settings: Settings, worker: int | None = None) -> torch.device:
    """The device for the worker of this number, and torch's current GPU where it is one.

    Raises `ModelError` where a GPU is asked for and there is none.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device(choose_device(settings.device, gpus, worker))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def choose_device(asked: str, gpus: int, worker: int | None = None) -> str:
    """The name of the device that `HEADRACE_DEVICE` asks for on a machine with `gpus` GPUs.

    Workers that `headrace up` numbers, from 1 on, take the GPUs in turn where none is named.
    Raises `ModelError` for a GPU that is not there.
    """
    if asked == "cpu" or (asked == "auto" and gpus == 0):
        return "cpu"
    if gpus == 0:
        raise ModelError(f"{variable('device')} is {asked}, but torch finds no GPU here{_hidden()}")
    _, _, number = asked.partition(":")
    if not number:
        return f"cuda:{((worker or 1) - 1) % gpus}"
    if int(number) >= gpus:
        raise ModelError(
            f"{variable('device')} is {asked}, but torch finds {gpus} here, up to"
            f" cuda:{gpus - 1}{_hidden()}"
        )
    return f"cuda:{int(number)}"


def _hidden() -> str:
    """CUDA numbers those GPUs alone that this variable leaves visible."""
    visible = os.environ.get(_VISIBLE)
    return "" if visible is None else f" ({_VISIBLE} is {visible!r})"
