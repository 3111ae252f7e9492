from __future__ import annotations

import pytest

from batcher.torch_engine.device import choose_device
from headrace.core.errors import ModelError


@pytest.mark.parametrize(
    ("asked", "gpus", "device"),
    [
        ("auto", 0, "cpu"),
        ("auto", 1, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_worker_without_a_number_takes_what_is_asked_for(
    asked: str, gpus: int, device: str
) -> None:
    assert choose_device(asked, gpus) == device


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_the_workers_of_a_box_take_its_gpus_in_turn(asked: str) -> None:
    devices = [choose_device(asked, gpus=3, worker=number) for number in range(1, 6)]
    assert devices == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]


def test_a_gpu_that_is_named_is_every_workers() -> None:
    assert {choose_device("cuda:1", gpus=3, worker=number) for number in (1, 2, 3)} == {"cuda:1"}


@pytest.mark.parametrize("asked", ["cuda", "cuda:0"])
def test_without_a_gpu_none_can_be_asked_for(asked: str) -> None:
    with pytest.raises(ModelError, match=f"HEADRACE_DEVICE is {asked}, but torch finds no GPU"):
        choose_device(asked, gpus=0)


def test_a_gpu_beyond_the_last_one_is_said_with_their_number() -> None:
    with pytest.raises(ModelError, match=r"HEADRACE_DEVICE is cuda:2, but torch finds 2 here"):
        choose_device("cuda:2", gpus=2)


def test_gpus_that_are_hidden_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(ModelError, match="CUDA_VISIBLE_DEVICES is '3'"):
        choose_device("cuda:3", gpus=1)
