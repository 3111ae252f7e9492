"""One request inside the pipeline, or on its way there."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import openvino
import openvino_genai

from batcher.generation import Generation
from batcher.openvino_engine.cache_size import blocks_of
from batcher.openvino_engine.rules import generation_config, keeps_state, seed_of

DIVERGED = (
    "cannot be continued under its json_schema: generated again, the output took another turn"
    " than the one that was published"
)


@dataclass(eq=False, slots=True)
class Row:
    """`first_ids` are what the pipeline is given to read, `brought` what it has added to them.

    `replay` are published ids that it has yet to bring again. `handle` is the pipeline's, None
    before the row has entered it; `is_fresh` says that it has not stepped since, `has_token` that
    the caller was given a token, `is_gone` that nobody waits for the row any more. `tails` are the
    prefix guard's.
    """

    generation: Generation
    first_ids: list[int]
    replay: deque[int]
    brought: list[int] = field(default_factory=list)
    tails: set[int] = field(default_factory=set)
    handle: openvino_genai.GenerationHandle | None = None
    is_fresh: bool = True
    has_token: bool = False
    is_gone: bool = False

    @classmethod
    def of(cls, generation: Generation, is_exact: bool) -> Row:
        """`is_exact` says that what is generated again comes out the same."""
        sampling = generation.request.sampling
        prompt = len(generation.request.prompt_ids)
        first, published = generation.ids[:prompt], generation.ids[prompt:]
        if sampling.json_schema is not None or (is_exact and keeps_state(sampling)):
            return cls(generation, first, deque(published))
        return cls(generation, first + published, deque())

    @property
    def schema(self) -> str | None:
        """The text of the JSON schema that its output has to fit."""
        return self.generation.request.sampling.json_schema

    @property
    def blocks(self) -> int:
        """The most of the cache that it can fill."""
        return blocks_of(self.generation.kept_tokens)

    def config(self, grammar: str | None) -> openvino_genai.GenerationConfig:
        """`grammar` is that of its schema."""
        sampling = self.generation.request.sampling
        place = len(self.first_ids) - len(self.generation.request.prompt_ids)
        seed = seed_of(sampling, place)
        return generation_config(sampling, place, self.generation.ends, seed, grammar)

    def matches(self, token_id: int) -> bool:
        """Whether a replayed id is the published one."""
        return self.replay.popleft() == token_id

    def continued(self) -> Row:
        """The same request, whose published ids are read like a prompt instead of replayed."""
        ids = list(self.generation.ids)
        return Row(self.generation, ids, deque())


def tensor(ids: list[int]) -> openvino.Tensor:
    """[1, ids] int64."""
    import numpy as np

    return openvino.Tensor(np.array([ids], dtype=np.int64))
