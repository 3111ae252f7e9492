"""One request inside the pipeline, or on its way there."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import openvino
import openvino_genai

from batcher.generation import Generation
from batcher.openvino_engine.cache_size import blocks_of
from batcher.openvino_engine.rules import generation_config, must_replay, seed_of

DIVERGED = (
    "cannot be continued under its json_schema: generated again, the output took another turn"
    " than the one that was published"
)


@dataclass(eq=False, slots=True)
class Row:
    """`replay` are the published ids that the pipeline has yet to bring again.

    `handle` is the pipeline's, None before the row has entered it. `is_continued` says that the
    published ids are read like a prompt.
    """

    generation: Generation
    eos_token_ids: tuple[int, ...]
    handle: openvino_genai.GenerationHandle | None = None
    replay: deque[int] = field(default_factory=deque)
    is_continued: bool = False
    has_token: bool = False

    @classmethod
    def of(cls, generation: Generation, eos_token_ids: tuple[int, ...]) -> Row:
        row = cls(generation, eos_token_ids)
        published = generation.ids[len(generation.request.prompt_ids) :]
        if must_replay(generation.request.sampling):
            row.replay.extend(published)
        else:
            row.is_continued = True
        return row

    @property
    def blocks(self) -> int:
        """The most of the cache that it can fill."""
        return blocks_of(self.generation.request.cost_tokens)

    @property
    def first_ids(self) -> list[int]:
        """What the pipeline is given to read."""
        prompt = self.generation.request.prompt_ids
        return self.generation.ids if self.is_continued else list(prompt)

    def config(self) -> openvino_genai.GenerationConfig:
        sampling = self.generation.request.sampling
        place = self.generation.output_tokens if self.is_continued else 0
        return generation_config(
            sampling, sampling.max_tokens - place, self.eos_token_ids, seed_of(sampling, place)
        )

    def matches(self, token_id: int) -> bool:
        """Whether a replayed id is the published one."""
        return self.replay.popleft() == token_id

    def continue_instead(self) -> None:
        """Gives the replay up: the published ids become a prompt."""
        self.handle = None
        self.replay.clear()
        self.is_continued = True


def tensor(ids: list[int]) -> openvino.Tensor:
    """[1, ids] int64."""
    import numpy as np

    return openvino.Tensor(np.array([ids], dtype=np.int64))
