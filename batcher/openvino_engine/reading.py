"""Reading: how far the plain model has read one request, and the deltas that wait for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from batcher.generation import Generation
from batcher.openvino_engine.cache_size import blocks_of
from batcher.openvino_engine.likeliest import token_logprobs
from batcher.openvino_engine.paged_model import Chunk
from headrace.core.types import Delta, TokenLogprobs


@dataclass(eq=False, slots=True)
class Reading:
    """The tokens from `first` on are still to be reported; `read` ids have been read.

    `blocks` of the cache are its own, none while it waits for them. `entries` are those of tokens
    whose deltas wait still.
    """

    generation: Generation
    first: int
    blocks: list[int] = field(default_factory=list)
    read: int = 0
    deltas: deque[Delta] = field(default_factory=deque)
    entries: deque[TokenLogprobs] = field(default_factory=deque)

    @classmethod
    def of(cls, generation: Generation) -> Reading:
        return cls(generation, len(generation.ids))

    @property
    def needed_blocks(self) -> int:
        """Blocks to begin with; an answer without a limit may need more."""
        return blocks_of(self.generation.kept_tokens)

    @property
    def unread(self) -> int:
        """Ids to read: the newest one says nothing of the tokens that are there."""
        return len(self.generation.ids) - 1 - self.read

    def chunk(self, most: int) -> Chunk:
        """The next ids to read, at most this many."""
        end = self.read + min(most, self.unread)
        return Chunk(self.generation.ids[self.read : end], self.read, self.blocks)

    def take(self, logits: NDArray[Any]) -> None:
        """Notes what the rows of a chunk, [ids, vocabulary], say of the ids behind them."""
        count = self.generation.request.sampling.logprobs or 0
        for row in logits:
            self.read += 1
            if self.read >= self.first:
                token_id = self.generation.ids[self.read]
                self.entries.append(token_logprobs(row, token_id, count))
                self.first = self.read + 1

    def release(self) -> Delta | None:
        """The deltas whose entries are there, as one."""
        released: Delta | None = None
        while self.deltas and len(self.deltas[0].token_ids) <= len(self.entries):
            delta = self.deltas.popleft()
            entries = tuple(self.entries.popleft() for _token_id in delta.token_ids)
            delta = delta._replace(logprobs=entries)
            released = released.then(delta) if released else delta
        return released
