"""SlotCache: the keys and values of all running rows, one fixed slot a row."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache


class Access(Protocol):
    """Puts one forward's new states into a layer's buffer; returns those to attend to."""

    def __call__(self, buffer: Tensor, states: Tensor) -> Tensor:
        """`buffer` [slots, heads, tokens, dim]; `states` as the attention layer makes them."""


@dataclass(frozen=True, slots=True)
class DecodeAccess:
    """One new token in each of the slots [0, rows), at `positions` [rows]; all see `length`."""

    positions: Tensor
    slots: Tensor
    length: int

    def __call__(self, buffer: Tensor, states: Tensor) -> Tensor:
        buffer[self.slots, :, self.positions] = states[:, :, 0]
        return buffer[: len(self.slots), :, : self.length]


@dataclass(frozen=True, slots=True)
class PrefillAccess:
    """Tokens of several prompts in one row, token n at (`slots[n]`, `positions[n]`).

    The first prompt goes on behind `past` tokens already in its slot `past_slot`.
    """

    positions: Tensor
    slots: Tensor
    past_slot: int
    past: int

    def __call__(self, buffer: Tensor, states: Tensor) -> Tensor:
        buffer[self.slots, :, self.positions] = states[0].transpose(0, 1)
        if self.past == 0:
            return states
        cached = buffer[self.past_slot : self.past_slot + 1, :, : self.past]
        return torch.cat((cached, states), dim=2)


class SlotCache(Cache):
    """The cache a model's forward writes to and attends from, as `access` says.

    One buffer [slots, heads, max_tokens, dim] for keys and one for values a layer, made when the
    layer is first met. Every place holds a finite number at any time: what a mask hides is
    multiplied by zero, and NaN would survive that.
    """

    def __init__(self, slots: int, max_tokens: int) -> None:
        super().__init__(layers=[])
        self.slots = slots
        self.max_tokens = max_tokens
        self.access: Access | None = None
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if self.access is None:
            raise RuntimeError("the cache was not told where this forward's tokens belong")
        if layer_idx == len(self._buffers):
            self._buffers.append((self._buffer(key_states), self._buffer(value_states)))
        keys, values = self._buffers[layer_idx]
        return self.access(keys, key_states), self.access(values, value_states)

    @torch.inference_mode()
    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one slot into another."""
        for buffer in self._each():
            buffer[target, :, :length] = buffer[source, :, :length]

    @torch.inference_mode()
    def scrub(self, slot: int) -> None:
        """Forgets a slot that may hold NaN."""
        for buffer in self._each():
            buffer[slot] = 0

    def clear(self) -> None:
        self._buffers.clear()

    def _each(self) -> list[Tensor]:
        return [buffer for pair in self._buffers for buffer in pair]

    def _buffer(self, states: Tensor) -> Tensor:
        shape = (self.slots, states.shape[1], self.max_tokens, states.shape[3])
        if states.device.type != "cpu":
            return torch.zeros(shape, dtype=states.dtype, device=states.device)
        # An anonymous map is zero without being written to: memory is used as slots fill.
        pages = mmap.mmap(-1, math.prod(shape) * states.dtype.itemsize)
        return torch.frombuffer(pages, dtype=states.dtype).view(shape)
