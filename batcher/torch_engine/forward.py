"""The two forwards of a step: packed prompts in one row, and one token of every decoding row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from batcher.generation import Generation
from batcher.torch_engine.attention import Span, spans_of
from batcher.torch_engine.cache import Access, DecodeAccess, PrefillAccess, SlotCache
from batcher.torch_engine.scheduler import Chunk


class Forward:
    """A model together with the cache that its forwards fill."""

    def __init__(self, model: Any, cache: SlotCache) -> None:
        self._model = model
        self._cache = cache
        self._device: torch.device = model.device
        self._dtype: torch.dtype = model.dtype

    def prefill(self, chunks: Sequence[Chunk]) -> Tensor:
        """Reads the chunks as one row without padding, each blind to the others.

        Returns [completed, vocabulary]: the logits behind the last id of each last chunk.
        """
        sizes = [len(chunk.ids) for chunk in chunks]
        past = chunks[0].start
        owners = self._repeat(list(range(len(chunks))), sizes)
        positions = self._ints([place for c in chunks for place in range(c.start, c.stop)])
        ends = torch.tensor(sizes).cumsum(0) - 1
        access = PrefillAccess(
            positions=positions,
            slots=self._repeat([chunk.slot for chunk in chunks], sizes),
            past_slot=chunks[0].slot,
            past=past,
        )
        logits = self._run(
            ids=self._ints([token_id for chunk in chunks for token_id in chunk.ids])[None],
            positions=positions[None],
            visible=_packed_visibility(owners, positions, past)[None, None],
            access=access,
            keep=ends[[chunk.is_last for chunk in chunks]].to(self._device),
        )
        return logits[0]

    def decode(self, rows: Sequence[Generation]) -> Tensor:
        """Reads the newest id of each row, row i in slot i. Returns [rows, vocabulary]."""
        lengths = [len(row.ids) for row in rows]
        length = max(lengths)
        positions = self._ints(lengths) - 1
        places = torch.arange(length, device=self._device)
        logits = self._run(
            ids=self._ints([row.ids[-1] for row in rows])[:, None],
            positions=positions[:, None],
            visible=(places[None, :] <= positions[:, None])[:, None, None],
            access=DecodeAccess(
                positions, slots=torch.arange(len(rows), device=self._device), length=length
            ),
            keep=torch.zeros(1, dtype=torch.int64, device=self._device),
            spans=spans_of(lengths) if self._device.type == "cpu" else (),
        )
        return logits[:, 0]

    def close(self) -> None:
        """Lets go of the weights and of the cache's memory."""
        self._model = None
        self._cache.clear()

    def _run(
        self,
        ids: Tensor,
        positions: Tensor,
        visible: Tensor,
        access: Access,
        keep: Tensor,
        spans: Sequence[Span] = (),
    ) -> Tensor:
        self._cache.access = access
        hidden = torch.zeros(visible.shape, dtype=self._dtype, device=self._device)
        logits: Tensor = self._model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=hidden.masked_fill_(~visible, -torch.inf),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=keep,
            spans=spans,
        ).logits
        return logits

    def _ints(self, values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)

    def _repeat(self, values: list[int], times: list[int]) -> Tensor:
        return torch.tensor(values).repeat_interleave(torch.tensor(times)).to(self._device)


def _packed_visibility(owners: Tensor, positions: Tensor, past: int) -> Tensor:
    """[tokens, past + tokens]: who sees whom; prompt 0 owns the past as well."""
    key_owners = torch.cat((owners.new_zeros(past), owners))
    key_positions = torch.cat((torch.arange(past, device=positions.device), positions))
    same = owners[:, None] == key_owners[None, :]
    return same & (key_positions[None, :] <= positions[:, None])
