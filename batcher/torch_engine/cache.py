"""SlotCache: the keys and values of all rows, one fixed slot a row."""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from headrace.core.errors import ModelError


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one token leaves in the cache of one layer: keys and values, each [heads, dim]."""

    keys: tuple[int, int]
    values: tuple[int, int]

    @property
    def numbers(self) -> int:
        return math.prod(self.keys) + math.prod(self.values)


def layer_shapes(model: Any) -> list[LayerShape]:
    """Found out by running one token, since every family names its sizes differently.

    Raises `ModelError` for a model that does not run.
    """
    cache: Any = DynamicCache(config=model.config)
    ids = torch.zeros(1, 1, dtype=torch.int64, device=model.device)
    try:
        with torch.inference_mode():
            model(input_ids=ids, past_key_values=cache, use_cache=True)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"the model does not run: {error}") from error
    return [
        LayerShape(keys=_token_shape(layer.keys), values=_token_shape(layer.values))
        for layer in cache.layers
    ]


class SlotCache(Cache):
    """The cache that a model's forward writes to and attends from.

    Two buffers a layer, [slots, max_tokens, heads, dim]. A forward writes its tokens to `places`
    (slot x max_tokens + position); its attention reads whole buffers. Every place holds a finite
    number at any time: what a mask hides is multiplied by zero, and NaN would survive that.
    `is_bounded` says that memory does not suffice for all slots to be full.
    """

    def __init__(
        self,
        shapes: list[LayerShape],
        slots: int,
        max_tokens: int,
        dtype: torch.dtype,
        device: torch.device,
        is_bounded: bool = False,
    ) -> None:
        super().__init__(layers=[])
        self._is_bounded = is_bounded
        self.slots = slots
        self.max_tokens = max_tokens
        self.places: Tensor | None = None
        self._pages: list[mmap.mmap] = []
        self._buffers = [
            (self._buffer(shape.keys, dtype, device), self._buffer(shape.values, dtype, device))
            for shape in shapes
        ]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """States [1, heads, tokens, dim] go to their places; returns the layer's buffers.

        Those behind the last place are padding.
        """
        if self.places is None:
            raise RuntimeError("the cache was not told where this forward's tokens belong")
        buffers = self._buffers[layer_idx]
        for buffer, states in zip(buffers, (key_states, value_states), strict=True):
            buffer.flatten(0, 1)[self.places] = states[0, :, : len(self.places)].transpose(0, 1)
        return buffers

    @torch.inference_mode()
    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copies the first `tokens` tokens of one slot into another."""
        for buffer in self._each():
            buffer[target, :tokens] = buffer[source, :tokens]

    @torch.inference_mode()
    def swap(self, one: int, tokens_of_one: int, other: int, tokens_of_other: int) -> None:
        for buffer in self._each():
            kept = buffer[one, :tokens_of_one].clone()
            buffer[one, :tokens_of_other] = buffer[other, :tokens_of_other]
            buffer[other, :tokens_of_one] = kept

    @torch.inference_mode()
    def scrub(self, slot: int, tokens: int) -> None:
        """Forgets the first `tokens` tokens of a slot, which may hold NaN."""
        for buffer in self._each():
            buffer[slot, :tokens] = 0

    def release(self, slot: int, tokens: int) -> None:
        """Gives back the memory behind the first `tokens` tokens of a slot, where it is needed.

        Taking it again costs a tenth of a decode step.
        """
        for pages in self._pages if self._is_bounded else ():
            size = len(pages) // self.slots
            first = slot * size + tokens * (size // self.max_tokens)
            start, end = _whole_pages(first, (slot + 1) * size)
            if start < end and sys.platform == "linux":
                pages.madvise(mmap.MADV_DONTNEED, start, end - start)

    def clear(self) -> None:
        self._buffers.clear()
        self._pages.clear()

    def _each(self) -> Iterator[Tensor]:
        for keys, values in self._buffers:
            yield keys
            yield values

    def _buffer(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
        size = (self.slots, self.max_tokens, *shape)
        if device.type != "cpu":
            return torch.zeros(size, dtype=dtype, device=device)
        # An anonymous map is zero without being written to: memory is used as slots fill.
        private = (
            {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if sys.platform == "linux" else {}
        )
        self._pages.append(mmap.mmap(-1, math.prod(size) * dtype.itemsize, **private))
        return torch.frombuffer(self._pages[-1], dtype=dtype).view(size)


def _token_shape(states: Tensor) -> tuple[int, int]:
    """[1, heads, 1, dim] -> (heads, dim)."""
    return states.shape[1], states.shape[3]


def _whole_pages(start: int, end: int) -> tuple[int, int]:
    """The pages that lie inside of these bytes; slots share those at their edges."""
    return -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
