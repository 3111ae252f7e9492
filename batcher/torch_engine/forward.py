"""The one forward of a step: prompts' tokens and a token of every decoding row, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from batcher.torch_engine.cache import SlotCache
from batcher.torch_engine.layout import Layout, Segment, spans_of
from batcher.torch_engine.linear import row_multiple
from batcher.torch_engine.scheduler import Chunk, Plan
from batcher.torch_engine.transfer import to_device

CPU_CALL_TOKENS, GPU_CALL_TOKENS = 400, 200_000
"""What a call of the attention kernel costs, in tokens of a row that are attended to."""


class Forward:
    """A model together with the cache that its forwards fill.

    All tokens of a step stand in one row, so that the weights are read once. Their number and that
    of what each chunk attends to are rounded up: oneDNN makes, and keeps, a kernel for every
    number that it meets.
    """

    def __init__(self, model: Any, cache: SlotCache) -> None:
        self._model = model
        self._cache = cache
        self._device: torch.device = model.device
        self._dtype: torch.dtype = model.dtype
        self._multiple = row_multiple(model)
        seen = torch.zeros(cache.max_tokens, dtype=self._dtype, device=self._device)
        self._edge = torch.cat((seen, torch.full_like(seen, -torch.inf)))

    def __call__(self, plan: Plan) -> Tensor:
        """[rows, vocabulary]: the logits behind the last id of each of the plan's rows."""
        ids = [row.ids[-1] for row in plan.decoding]
        positions = [len(row.ids) - 1 for row in plan.decoding]
        slots = [*plan.decoding.values()]
        keep = list(range(len(ids)))
        for chunk in plan.chunks:
            ids += chunk.ids
            positions += range(chunk.start, chunk.stop)
            slots += [chunk.slot] * len(chunk.ids)
            keep += [len(ids) - 1] if chunk.is_last else []
        places = [
            slot * self._cache.max_tokens + position
            for slot, position in zip(slots, positions, strict=True)
        ]
        rows = len(keep)
        for padded in (ids, positions, keep):
            if len(padded) > self._multiple:  # one row takes less time than sixteen
                padded += [0] * self._padding(len(padded))
        tensors = self._on_device(ids, positions, places, keep)
        return self._run(tensors, self._layout(plan))[:rows]

    def close(self) -> None:
        """Lets go of the weights and of the cache's memory."""
        self._model = None
        self._cache.clear()

    def _padding(self, tokens: int) -> int:
        return -tokens % self._multiple

    def _run(self, tensors: Sequence[Tensor], layout: Layout) -> Tensor:
        ids, positions, places, keep = tensors
        self._cache.places = places
        logits: Tensor = self._model(
            input_ids=ids[None],
            position_ids=positions[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=keep,
            layout=layout,
        ).logits
        return logits[0]

    def _layout(self, plan: Plan) -> Layout:
        lengths = [len(row.ids) for row in plan.decoding]
        call_tokens = CPU_CALL_TOKENS if self._device.type == "cpu" else GPU_CALL_TOKENS
        spans = spans_of(lengths, [*plan.decoding.values()], call_tokens)
        return Layout(spans, self._decode_mask(lengths), self._segments(plan))

    def _decode_mask(self, lengths: list[int]) -> Tensor | None:
        """A row's is a window on zeros and what follows them: moved, it shows fewer of them."""
        if not lengths:
            return None
        most, longest = self._cache.max_tokens, max(lengths)
        windows = self._edge.as_strided((most + 1, longest), (1, 1))
        starts = to_device([most - length for length in lengths], self._device)
        return windows.index_select(0, starts)[:, None, None]

    def _segments(self, plan: Plan) -> list[Segment]:
        segments: list[Segment] = []
        start = len(plan.decoding)
        for chunk in plan.chunks:
            segments.append(self._segment(chunk, start))
            start = segments[-1].stop
        return segments

    def _segment(self, chunk: Chunk, start: int) -> Segment:
        tokens = len(chunk.ids)
        length = min(chunk.stop + self._padding(chunk.stop), self._cache.max_tokens)
        padding = self._padding(tokens)
        mask = self._chunk_mask(chunk.start, tokens + padding, length)
        return Segment(start, start + tokens, chunk.slot, length, padding, mask)

    def _chunk_mask(self, start: int, tokens: int, length: int) -> Tensor | None:
        if start == 0:
            return None
        mask = torch.full((tokens, length), -torch.inf, dtype=self._dtype, device=self._device)
        return mask.triu_(start + 1)

    def _on_device(self, *lists: list[int]) -> Sequence[Tensor]:
        """Each list as a tensor of int64; they cross to a GPU together, and nobody waits."""
        moved = to_device([value for values in lists for value in values], self._device)
        return torch.split(moved, [len(values) for values in lists])
