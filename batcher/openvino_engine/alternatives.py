"""Alternatives: the logprobs of tokens that were not drawn, from a forward of the plain model.

The pipeline tells the logprob of each drawn token alone. For requests that ask for more, the model
is loaded a second time and reads their prompts and tokens behind the pipeline, a bounded number of
ids a step. Their deltas wait for it, those of all others do not.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from batcher.generation import Generation
from batcher.openvino_engine.cache_size import blocks_of
from batcher.openvino_engine.paged_model import PagedModel
from batcher.openvino_engine.reading import Reading
from headrace.core.errors import ModelError
from headrace.core.types import Delta

STEP_TOKENS = 32
"""Most ids that are read between two steps of the pipeline, for all requests together."""

KEPT_S = 300.0
"""How long the second model stays loaded when nobody asks for alternatives any more."""


class Alternatives:
    """Completes the deltas of requests that ask for alternatives.

    `load` makes the second model, with a cache of `blocks`, when it is first needed. A request
    that finds no room in that cache waits for those before it; one whose answer outgrows the room
    left takes that of who came last, which reads again later.
    """

    def __init__(
        self,
        load: Callable[[], PagedModel],
        blocks: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._free = list(range(blocks))
        self._now = now
        self._thread = ThreadPoolExecutor(1, "alternatives")
        self._model: Future[PagedModel] | None = None
        self._readings: dict[str, Reading] = {}
        self._inside: deque[Reading] = deque()
        self._needed_at = now()

    def follow(self, generation: Generation) -> None:
        """Reads what this request has and gets from now on, where it asks for alternatives."""
        if generation.request.sampling.logprobs and not generation.is_over:
            self._readings[generation.request.id] = Reading.of(generation)
            self._model = self._model or self._thread.submit(self._load)

    def holds(self, request_id: str) -> bool:
        """Whether deltas of this request wait."""
        reading = self._readings.get(request_id)
        return reading is not None and bool(reading.deltas)

    def drop(self, request_id: str) -> None:
        """Forgets a request; unknown ids are ignored."""
        reading = self._readings.pop(request_id, None)
        if reading is not None and reading.blocks:
            self._send_out(reading)

    def complete(self, deltas: Sequence[Delta]) -> list[Delta]:
        """Takes in what a step brought, reads on, and returns what may be given out.

        A request whose alternatives cannot be computed ends with an error.
        """
        passed = [delta for delta in deltas if delta.request_id not in self._readings]
        for delta in deltas:
            if (reading := self._readings.get(delta.request_id)) is not None:
                reading.deltas.append(delta)
        if not self._readings:
            self._unload()
            return passed
        self._needed_at = self._now()
        try:
            self._advance()
        except (ModelError, RuntimeError, MemoryError) as error:
            return passed + self._give_up(error)
        released = [reading.release() for reading in self._readings.values()]
        return passed + [delta for delta in released if delta is not None]

    def wait(self, timeout_s: float) -> None:
        """Returns when the model is loaded, or the time is over."""
        if self._readings and self._model is not None:
            wait([self._model], timeout_s)

    def close(self) -> None:
        """Frees the model, once a load that has begun is over."""
        self._thread.shutdown()
        self._model = None
        self._readings.clear()
        self._inside.clear()

    def _advance(self) -> None:
        """Reads one bounded chunk. Raises what the load or the forward raises."""
        assert self._model is not None
        if not self._model.done():
            return
        self._admit()
        unread = [reading for reading in self._inside if reading.unread > 0]
        if not unread:
            return
        shares = _shares([reading.unread for reading in unread])
        fitting = [
            (reading, n)
            for reading, n in zip(unread, shares, strict=True)
            if n and self._fits(reading, n)
        ]
        both = [(reading, n) for reading, n in fitting if reading.blocks]
        logits = self._model.result().logits([reading.chunk(n) for reading, n in both])
        for reading, n in both:
            rows, logits = logits[:n], logits[n:]
            reading.take(rows)
        self._inside.rotate(-1)

    def _admit(self) -> None:
        for reading in self._readings.values():
            if reading.blocks:
                continue
            if reading.needed_blocks > len(self._free):
                return
            reading.blocks = [heapq.heappop(self._free) for _ in range(reading.needed_blocks)]
            self._inside.append(reading)

    def _fits(self, reading: Reading, n: int) -> bool:
        """Gives a reading the blocks for its next ids, if need be those of who came last."""
        while reading.blocks and len(reading.blocks) < blocks_of(reading.read + n):
            if self._free:
                reading.blocks.append(heapq.heappop(self._free))
            else:
                self._send_out(next(r for r in reversed(self._readings.values()) if r.blocks))
        return bool(reading.blocks)

    def _send_out(self, reading: Reading) -> None:
        """Takes the blocks of a reading; if it comes back, it reads from the beginning."""
        self._inside.remove(reading)
        for block in reading.blocks:
            heapq.heappush(self._free, block)
        reading.blocks, reading.read = [], 0

    def _give_up(self, error: Exception) -> list[Delta]:
        """Ends all that ask. Out of memory may pass; the model is loaded anew for those to come."""
        may_pass = isinstance(error, MemoryError) or "alloc" in str(error)
        reason = f"logprobs: the alternatives cannot be computed: {error}"
        generations = [reading.generation for reading in self._readings.values()]
        for request_id in list(self._readings):
            self.drop(request_id)
        self._model = None
        return [generation.fail(reason, may_pass) for generation in generations]

    def _unload(self) -> None:
        """Frees the model where nobody has asked for a while."""
        if self._model is not None and self._now() - self._needed_at > KEPT_S:
            self._model = None


def _shares(unread: Sequence[int]) -> list[int]:
    """How many ids of each are read in one step: as many of each, the rest of the first ones."""
    fair = max(1, STEP_TOKENS // len(unread))
    shares = [min(fair, ids) for ids in unread[:STEP_TOKENS]]
    rest = STEP_TOKENS - sum(shares)
    for place, share in enumerate(shares):
        more = min(rest, unread[place] - share)
        shares[place] += more
        rest -= more
    return shares + [0] * (len(unread) - len(shares))
