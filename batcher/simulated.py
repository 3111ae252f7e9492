"""An engine without a model: it keeps a service-time law and repeats the prompt.

    step seconds = alpha + beta * rows + gamma * prefill tokens

For tests and capacity studies of everything around the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

from batcher.generation import Generation
from headrace.core.clock import Clock, SystemClock
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Delta, EngineStats, Feature, Request, Room, TokenLogprobs

CERTAIN = 50.0
"""Logit of the id that comes next; those of the others are 0."""


class SimulatedEngine:
    """Answers with the ids of the prompt, over and over, but for special ones and ends of sequence.

    It draws nothing: every id is certain, its logprob is 0, and it has no alternatives. A bias of
    `CERTAIN` or more lets one id be all that comes; one of minus as much leaves an id out.
    """

    features = frozenset({Feature.TOP_LOGPROBS, Feature.LOGIT_BIAS})

    def __init__(self, settings: Settings, card: ModelCard, clock: Clock | None = None) -> None:
        self._settings = settings
        self._card = card
        self._clock = clock or SystemClock()
        self._vocabulary = card.tokenizer.get_vocab_size(with_added_tokens=True)
        added = card.tokenizer.get_added_tokens_decoder()
        special = (token_id for token_id, token in added.items() if token.special)
        self._silent = frozenset((*card.eos_token_ids, *special))
        self._generations: dict[str, Generation] = {}
        self._stats = EngineStats(slots=settings.max_slots)

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        if request.id in self._generations:
            raise ValueError(f"request {request.id} is in the engine already")
        self._generations[request.id] = Generation.begin(
            request, self._card, self._vocabulary, resume_ids, Feature.JSON_SCHEMA in self.features
        )

    def step(self) -> list[Delta]:
        over = [generation for generation in self._generations.values() if generation.is_over]
        live = [generation for generation in self._generations.values() if not generation.is_over]
        rows = live[: self._settings.max_slots]
        if rows:
            self._take_time(rows)
        deltas = {generation.request.id: generation.close() for generation in over}
        deltas |= {row.request.id: self._accept(row) for row in rows}
        ordered = [deltas[request_id] for request_id in self._generations if request_id in deltas]
        for delta in ordered:
            if delta.is_last:
                self.abort(delta.request_id)
        return ordered

    def abort(self, request_id: str) -> None:
        self._generations.pop(request_id, None)

    def room(self) -> Room:
        slots = max(0, self._settings.max_slots - len(self._generations))
        kept = sum(row.kept_tokens for row in self._generations.values())
        tokens = self._settings.max_slots * self._card.context_tokens - kept
        return Room(slots, tokens if slots else min(0, tokens))

    def stats(self) -> EngineStats:
        return replace(self._stats, running=len(self._generations))

    def close(self) -> None:
        self._generations.clear()

    @property
    def is_idle(self) -> bool:
        return not self._generations

    def _accept(self, row: Generation) -> Delta:
        token_id = self._next_id(row)
        asked = row.request.sampling.logprobs
        if asked is None:
            return row.accept(token_id)
        top = ((token_id, 0.0),) if asked else ()
        return row.accept(token_id, TokenLogprobs(token_id, 0.0, top))

    def _next_id(self, row: Generation) -> int:
        biases, ends = row.request.sampling.logit_bias, () if row.may_end else row.ends
        favourite, bias = max(biases, key=itemgetter(1), default=(0, 0.0))
        if bias >= CERTAIN and favourite not in ends:
            return favourite
        barred = self._silent.union(ends, (id_ for id_, bias in biases if bias <= -CERTAIN))
        cycle = [token_id for token_id in row.request.prompt_ids if token_id not in barred]
        if cycle:
            return cycle[row.output_tokens % len(cycle)]
        return next((id_ for id_ in range(self._vocabulary) if id_ not in barred), 0)

    def _take_time(self, rows: Sequence[Generation]) -> None:
        fresh = [row for row in rows if row.read_tokens == 0]
        prefill_tokens = sum(len(row.ids) for row in fresh)
        settings = self._settings
        step_s = settings.simulated_alpha_s + settings.simulated_beta_s * len(rows)
        step_s += settings.simulated_gamma_s * prefill_tokens
        self._clock.sleep(step_s)
        for row in rows:
            if row.read_tokens == 0:
                row.prefill_s += step_s
            else:
                row.decode_s += step_s
            row.read_tokens = len(row.ids)
        self._stats = replace(
            self._stats,
            steps=self._stats.steps + 1,
            rows=self._stats.rows + len(rows),
            prefill_tokens=self._stats.prefill_tokens + prefill_tokens,
            output_tokens=self._stats.output_tokens + len(rows),
            busy_s=self._stats.busy_s + step_s,
        )
