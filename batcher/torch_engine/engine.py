"""TorchEngine: many requests on one model of transformers, one token a step each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import torch

from batcher.generation import Generation
from batcher.torch_engine.cache import SlotCache, layer_shapes
from batcher.torch_engine.cache_size import cache_size
from batcher.torch_engine.draw import Draw
from batcher.torch_engine.forward import Forward
from batcher.torch_engine.grammar import Grammar
from batcher.torch_engine.grammars import Grammars, await_one
from batcher.torch_engine.sampler import Sampler, Token
from batcher.torch_engine.scheduler import Plan, Scheduler
from batcher.torch_engine.self_check import Reference, check
from batcher.torch_engine.slots import Slots
from batcher.warm_up import run_one
from headrace.core.clock import Clock, SystemClock
from headrace.core.errors import EngineError, InvalidRequest
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Delta, EngineStats, Feature, Request, Room

IDLE_S = 0.02
"""How long a step waits for a grammar, where it has nothing else to do."""

CPU_OUT_OF_MEMORY = "can't allocate memory"
"""What torch's allocator says on a CPU, where it raises a plain RuntimeError."""


class TorchEngine:
    """A step reads some waiting prompts and decodes one token of every row that has been read.

    A request with a JSON schema is read once its grammar was made, in a thread beside the steps.
    """

    def __init__(
        self, model: Any, settings: Settings, card: ModelCard, clock: Clock | None = None
    ) -> None:
        shapes = layer_shapes(model)
        size = cache_size(settings, card.context_tokens, shapes, model)
        context = card.context_tokens
        is_bounded = size.tokens < size.slots * context
        cache = SlotCache(shapes, size.slots, context, model.dtype, model.device, is_bounded)
        slots = Slots(cache, settings.prefix_caching)
        self._card = card
        self._clock = clock or SystemClock()
        self._vocabulary: int = model.get_input_embeddings().num_embeddings
        self._size = size
        self._scheduler = Scheduler(slots, settings.prefill_tokens, size.tokens)
        self._forward = Forward(model, cache)
        self._sampler = Sampler()
        self._grammars = Grammars(card, self._vocabulary)
        self._waiting: dict[Generation, Future[Grammar]] = {}
        self._draws: dict[Generation, Draw] = {}
        self._generations: dict[str, Generation] = {}
        self._stats = EngineStats(slots=size.slots)

    def warm_up(self, reference: Reference) -> None:
        """Finds out now whether the model works here, and answers as it did before it was changed.

        Raises `ModelError`. Nothing of it is counted.
        """
        check(reference, self._forward, self._card, has_neighbour=self._size.slots > 1)
        run_one(self, self._card)
        self._stats = EngineStats(slots=self._size.slots)

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        if request.id in self._generations:
            raise ValueError(f"request {request.id} is in the engine already")
        generation = Generation.begin(
            request,
            self._card,
            self._vocabulary,
            resume_ids,
            holds_json_schema=Feature.JSON_SCHEMA in self.features,
        )
        self._generations[request.id] = generation
        self._draws[generation] = Draw(
            request.sampling, generation.ids, len(request.prompt_ids), generation.ends
        )
        if generation.is_over:
            return
        if request.sampling.json_schema is None:
            self._scheduler.add(generation)
        else:
            published = generation.ids[len(request.prompt_ids) :]
            self._waiting[generation] = self._grammars.begin(
                request.sampling.json_schema, published
            )

    def step(self) -> list[Delta]:
        over = [generation for generation in self._generations.values() if generation.is_over]
        deltas = [generation.close() for generation in over] + self._let_in()
        plan = self._scheduler.plan()
        if not plan.is_empty:
            deltas += self._advance(plan)
        elif self._waiting and not deltas:
            await_one(self._waiting.values(), IDLE_S)
        found = {delta.request_id: delta for delta in deltas}
        ordered = [found[request_id] for request_id in self._generations if request_id in found]
        for delta in ordered:
            if delta.is_last:
                del self._draws[self._generations.pop(delta.request_id)]
        return ordered

    def abort(self, request_id: str) -> None:
        generation = self._generations.pop(request_id, None)
        if generation is None:
            return
        del self._draws[generation]
        if generation in self._waiting:
            self._waiting.pop(generation).cancel()
        elif not generation.is_over:
            self._scheduler.remove(generation)

    def room(self) -> Room:
        left = self._size.tokens - sum(row.kept_tokens for row in self._generations.values())
        slots = max(0, self._size.slots - len(self._generations))
        return Room(slots, left if slots else min(0, left))

    def stats(self) -> EngineStats:
        return replace(self._stats, running=len(self._generations))

    def close(self) -> None:
        self._generations.clear()
        self._draws.clear()
        self._waiting.clear()
        self._grammars.close()
        self._forward.close()

    @property
    def is_idle(self) -> bool:
        return not self._generations

    @property
    def features(self) -> frozenset[Feature]:
        """An output without an end of sequence cannot be held to a schema."""
        plain = {Feature.TOP_LOGPROBS, Feature.LOGIT_BIAS}
        return frozenset(plain | ({Feature.JSON_SCHEMA} if self._card.eos_token_ids else set()))

    def _let_in(self) -> list[Delta]:
        """Takes in the requests whose grammar was made; returns the ends of those without one."""
        deltas = []
        for generation in [row for row, grammar in self._waiting.items() if grammar.done()]:
            made = self._waiting.pop(generation)
            try:
                self._draws[generation].grammar = made.result()
            except (InvalidRequest, EngineError) as error:
                may_pass = isinstance(error, EngineError)
                deltas.append(generation.fail(str(error), may_pass))
            else:
                self._scheduler.add(generation)
        return deltas

    def _advance(self, plan: Plan) -> list[Delta]:
        try:
            started = self._clock.now()
            tokens = self._run(plan)
        except torch.OutOfMemoryError:
            return self._give_up(plan)
        self._count(plan, self._clock.now() - started)
        self._scheduler.prefilled(plan)
        deltas = [self._accept(row, token) for row, token in zip(plan.rows, tokens, strict=True)]
        for row in reversed(plan.rows):
            if row.is_over:
                self._scheduler.remove(row)
        return deltas

    def _give_up(self, plan: Plan) -> list[Delta]:
        """Ends the rows that memory did not suffice for: later, or elsewhere, it may."""
        rows = [*plan.decoding, *(chunk.generation for chunk in plan.chunks)]
        deltas = [row.fail("the engine ran out of memory", may_pass=True) for row in rows]
        for row in reversed(rows):
            self._scheduler.remove(row)
        return deltas

    @torch.inference_mode()
    def _run(self, plan: Plan) -> list[Token]:
        """The next token of each of the plan's rows."""
        draws = [self._draws[row] for row in plan.rows]
        try:
            logits = self._forward(plan)
            return self._sampler(logits, draws) if draws else []
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if CPU_OUT_OF_MEMORY in str(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise EngineError(f"the model's forward failed: {error}") from error

    def _accept(self, row: Generation, token: Token) -> Delta:
        grammar = self._draws[row].grammar
        if grammar is not None and not (grammar.complaint is None and grammar.advance([token.id])):
            return row.fail(f"json_schema: {grammar.complaint}")
        if token.is_failed:
            return row.fail("the model's output is not a number")
        return row.accept(token.id, token.logprobs)

    def _count(self, plan: Plan, seconds: float) -> None:
        for chunk in plan.chunks:
            chunk.generation.prefill_s += seconds
        for row in plan.decoding:
            row.decode_s += seconds
        stats = self._stats
        self._stats = replace(
            stats,
            steps=stats.steps + 1,
            rows=stats.rows + len(plan.chunks) + len(plan.decoding),
            prefill_tokens=stats.prefill_tokens + sum(len(chunk.ids) for chunk in plan.chunks),
            output_tokens=stats.output_tokens + len(plan.rows),
            cached_tokens=stats.cached_tokens
            + sum(chunk.start for chunk in plan.chunks if not chunk.generation.read_tokens),
            busy_s=stats.busy_s + seconds,
        )
