"""OpenVinoEngine: many requests on one continuous-batching pipeline of openvino-genai."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import openvino_genai
from openvino_genai import GenerationStatus

from batcher.fidelity.record import Probe
from batcher.generation import Generation
from batcher.openvino_engine.alternatives import Alternatives
from batcher.openvino_engine.grammars import Grammars
from batcher.openvino_engine.pipeline import Pipeline
from batcher.openvino_engine.prefix_guard import PrefixGuard
from batcher.openvino_engine.row import DIVERGED, Row, tensor
from batcher.openvino_engine.rules import complaint
from batcher.openvino_engine.self_check import check_answers
from batcher.warm_up import run_one
from headrace.core.clock import Clock, SystemClock
from headrace.core.errors import EngineError, InvalidRequest
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Delta, EngineStats, Feature, Request, Room, TokenLogprobs

IDLE_S = 0.02
"""How long a step waits for a grammar or the second model, where it has nothing else to do."""

OUT_OF_MEMORY = "the engine ran out of memory"


class OpenVinoEngine:
    """A step is one step of the pipeline; text, stop strings and endings are ours.

    A request enters the pipeline only when slots and cache have room for all that it will probably
    become. Where requests without a limit grow longer, the worker takes some out in time. What left
    early occupies both until the next step.
    A resumed request is read together with its published tokens. In float32, one that is sampled
    or has a presence or frequency penalty is generated again instead, silently, up to what was
    published: so it goes on as if never interrupted. Elsewhere numbers depend on the batch, and it
    goes on behind the published tokens with a seed that follows from its own and their count;
    those penalties then heed the new tokens alone. One with a JSON schema is always generated
    again, since a grammar cannot begin in its middle, and fails where it takes another turn.
    Logprobs with alternatives come from a second model that follows the pipeline (`Alternatives`).
    The pipeline does not say how much of a prompt it found in its prefix cache: `cached_tokens`
    is 0, and `prefill_tokens` counts whole prompts.
    """

    def __init__(
        self, pipeline: Pipeline, settings: Settings, card: ModelCard, clock: Clock | None = None
    ) -> None:
        self._runner: Any = pipeline.runner
        self._vocabulary = pipeline.vocabulary
        self._cache = pipeline.cache
        self._has_tokenizer = pipeline.has_tokenizer
        self._card = card
        self._clock = clock or SystemClock()
        self._slots = settings.max_slots
        self._is_exact = settings.dtype == "float32"
        self._grammars = Grammars(pipeline)
        self._alternatives = Alternatives(pipeline.load_again, pipeline.second_blocks)
        self._knows_alternatives = pipeline.has_memory_for_two
        self._guard = PrefixGuard(pipeline.cache.blocks) if settings.prefix_caching else None
        self._rows: dict[str, Row] = {}
        self._waiting: deque[Row] = deque()
        self._running: list[Row] = []
        self._leaving: list[Row] = []
        self._entered = 0
        self._stats = EngineStats(slots=self._slots)

    def warm_up(self, probes: Sequence[Probe] = ()) -> None:
        """Finds out now whether the model works here, and answers as `probes` say.

        Raises `ModelError`.
        """
        run_one(self, self._card)
        check_answers(self, self._card, probes)
        self._stats = EngineStats(slots=self._slots)

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        if request.id in self._rows:
            raise ValueError(f"request {request.id} is in the engine already")
        generation = Generation.begin(
            request,
            self._card,
            self._vocabulary,
            resume_ids,
            holds_json_schema=Feature.JSON_SCHEMA in self.features,
        )
        generation.error = generation.error or complaint(request.sampling, self.features)
        self._alternatives.follow(generation)
        row = Row.of(generation, self._is_exact)
        self._rows[request.id] = row
        if not generation.is_over:
            self._waiting.append(row)

    def step(self) -> list[Delta]:
        deltas = [row.generation.close() for row in self._rows.values() if self._is_unsaid(row)]
        if not self._running:
            self._clear()
        deltas += self._admit()
        if self._running:
            deltas += self._advance()
        elif self._waiting:
            self._grammars.wait(IDLE_S)
        elif not deltas:
            self._alternatives.wait(IDLE_S)
        deltas = self._alternatives.complete(deltas)
        order = {request_id: place for place, request_id in enumerate(self._rows)}
        for delta in deltas:
            if delta.is_last:
                self.abort(delta.request_id)
        return sorted(deltas, key=lambda delta: order[delta.request_id])

    def abort(self, request_id: str) -> None:
        self._alternatives.drop(request_id)
        row = self._rows.pop(request_id, None)
        if row is None:
            return
        if row in self._running:
            self._send_away(row)
        elif row in self._waiting:
            self._waiting.remove(row)

    def room(self) -> Room:
        slots = max(0, self._slots - len(self._rows))
        left = self._cache.tokens - sum(row.generation.kept_tokens for row in self._rows.values())
        return Room(slots, left if slots else min(0, left))

    def stats(self) -> EngineStats:
        return replace(self._stats, running=len(self._rows))

    def close(self) -> None:
        for row in list(self._running):
            self._leave(row)
        with suppress(EngineError):  # it may have failed before
            self._clear()  # one that still holds requests complains when it is freed
        self._rows.clear()
        self._waiting.clear()
        self._grammars.close()
        self._alternatives.close()
        self._runner = None

    @property
    def is_idle(self) -> bool:
        return not self._rows

    @property
    def features(self) -> frozenset[Feature]:
        has = {
            Feature.JSON_SCHEMA: self._has_tokenizer,
            Feature.TOP_LOGPROBS: self._knows_alternatives,
        }
        return frozenset(feature for feature in has if has[feature])

    def _is_unsaid(self, row: Row) -> bool:
        """Whether the row was over when it came, and the caller has not been told."""
        is_told = self._alternatives.holds(row.generation.request.id)
        return row.generation.is_over and not is_told

    # -- into the pipeline -----------------------------------------------------------------------

    def _admit(self) -> list[Delta]:
        """First come, first served, but for those that wait for the guard or for their grammar.

        Returns the ends of those that cannot be served.
        """
        deltas = []
        for row in list(self._waiting):
            if not self._fits(row):
                break
            if self._guard is not None and not self._guard.may_enter(row, self._running):
                continue
            if not self._has_grammar(row):
                continue
            self._waiting.remove(row)
            try:
                self._enter(row)
            except InvalidRequest as error:
                deltas.append(row.generation.fail(str(error)))
        return deltas

    def _fits(self, row: Row) -> bool:
        inside = [*self._running, *self._leaving]
        blocks = sum(mate.blocks for mate in inside) + row.blocks
        return len(inside) < self._slots and blocks <= self._cache.blocks

    def _has_grammar(self, row: Row) -> bool:
        """Whether the pipeline finds the grammar that the row needs, if it needs one."""
        others_enter = any(mate.schema is not None and not mate.brought for mate in self._running)
        return row.schema is None or self._grammars.may_enter(row.schema, others_enter)

    def _enter(self, row: Row) -> None:
        """Raises `InvalidRequest` where the pipeline refuses the request's rules."""
        grammar = None if row.schema is None else self._grammars.of(row.schema)
        self._entered += 1
        try:
            row.handle = self._runner.add_request(
                self._entered, tensor(row.first_ids), row.config(grammar)
            )
        except RuntimeError as error:
            raise InvalidRequest(f"the pipeline refuses the request: {error}") from error
        self._running.append(row)

    def _send_away(self, row: Row) -> None:
        """Lets go of a row that nobody waits for.

        Cancelled in the middle of its prompt, it would leave blocks in the prefix cache that are
        marked as full and are not. So its prompt is read to the end.
        """
        row.is_gone = self._guard is not None and not row.brought
        if not row.is_gone:
            self._leave(row)

    def _leave(self, row: Row) -> None:
        """Takes a row out; cut off, it has its slot and cache until the pipeline's next step."""
        self._running.remove(row)
        if self._guard is not None:
            self._guard.left(row)
        if row.handle is not None and not _has_ended(row.handle):
            row.handle.cancel()
            self._leaving.append(row)

    def _clear(self) -> None:
        """Lets the pipeline forget those who left it, where no row is left to step for.

        Raises `EngineError`.
        """
        if not self._leaving:
            return
        try:
            self._runner.step()
        except (RuntimeError, MemoryError) as error:
            raise EngineError(f"the pipeline's step failed: {error}") from error
        self._leaving.clear()

    # -- one step --------------------------------------------------------------------------------

    def _advance(self) -> list[Delta]:
        started = self._clock.now()
        try:
            self._runner.step()
        except (RuntimeError, MemoryError) as error:
            return self._give_up(error)
        self._leaving.clear()
        for row in self._running:
            row.is_fresh = False
        self._take_time(self._clock.now() - started)
        deltas = [delta for row in list(self._running) for delta in self._read(row)]
        self._count(output_tokens=sum(len(delta.token_ids) for delta in deltas))
        return deltas

    def _read(self, row: Row) -> list[Delta]:
        """What the step brought to a row: one delta, or none while its prompt is being read."""
        handle = row.handle
        if handle is None or not handle.can_read():
            return self._lost(row) if handle and _has_ended(handle) else []
        deltas = []
        for output in handle.read().values():
            tokens = zip(output.generated_ids, output.generated_log_probs, strict=True)
            for token_id, logprob in tokens:
                deltas += self._take(row, token_id, logprob)
        if row in self._running and _has_ended(handle):
            return self._lost(row)
        return deltas

    def _take(self, row: Row, token_id: int, logprob: float) -> list[Delta]:
        row.brought.append(token_id)
        if row.is_gone:
            self._leave(row)
            return []
        if row.replay:
            return [] if row.matches(token_id) else self._diverge(row)
        if not row.has_token:
            row.has_token = True
            self._count(prefill_tokens=len(row.generation.ids))
        wanted = row.generation.request.sampling.logprobs is not None
        logprobs = TokenLogprobs(token_id, min(0.0, logprob)) if wanted else None
        delta = row.generation.accept(token_id, logprobs)
        if row.generation.is_over:
            self._leave(row)
        return [delta]

    def _diverge(self, row: Row) -> list[Delta]:
        self._leave(row)
        if row.schema is not None:
            return [row.generation.fail(DIVERGED, may_pass=True)]
        again = self._rows[row.generation.request.id] = row.continued()
        self._waiting.appendleft(again)
        return []

    def _lost(self, row: Row) -> list[Delta]:
        """The pipeline dropped a row, which it does when its cache is too small after all."""
        self._leave(row)
        return [] if row.is_gone else [row.generation.fail(OUT_OF_MEMORY, may_pass=True)]

    def _give_up(self, error: Exception) -> list[Delta]:
        """Ends all rows where memory did not suffice: later, or elsewhere, it may.

        Raises `EngineError` for any other failure.
        """
        if not isinstance(error, MemoryError) and "alloc" not in str(error):
            raise EngineError(f"the pipeline's step failed: {error}") from error
        rows = [row for row in self._running if not row.is_gone]
        for row in list(self._running):
            self._leave(row)
        self._clear()
        return [row.generation.fail(OUT_OF_MEMORY, may_pass=True) for row in rows]

    def _take_time(self, step_s: float) -> None:
        for row in self._running:
            if row.has_token:
                row.generation.decode_s += step_s
            else:
                row.generation.prefill_s += step_s
        rows = self._runner.get_metrics().scheduled_requests
        self._count(steps=1, rows=rows, busy_s=step_s)

    def _count(self, **more: float) -> None:
        grown = {name: getattr(self._stats, name) + amount for name, amount in more.items()}
        self._stats = replace(self._stats, **grown)


def _has_ended(handle: openvino_genai.GenerationHandle) -> bool:
    return bool(handle.get_status() != GenerationStatus.RUNNING)
