"""The grammars of requests, made in a thread beside the steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from batcher.background import step_back
from batcher.torch_engine.grammar import Grammar, GrammarCompiler
from headrace.core.errors import EngineError, InvalidRequest
from headrace.core.model_card import ModelCard

REMEMBERED = 64
"""Schemas whose grammar is kept, to be copied."""

DIVERGED = (
    "cannot be continued under its json_schema: what was published does not fit this engine's"
    " grammar of it"
)


class Grammars:
    """Makes one grammar at a time, with the lowest priority and without Python's lock."""

    def __init__(self, card: ModelCard, vocabulary: int) -> None:
        """Begins to read the tokenizer, which takes a second for 50,000 ids."""
        self._thread = ThreadPoolExecutor(1, "grammars", step_back)
        self._compiler = self._thread.submit(GrammarCompiler, card, vocabulary)
        self._known: dict[str, Grammar] = {}

    def begin(self, schema: str, published_ids: Sequence[int]) -> Future[Grammar]:
        """Begins to make a grammar that stands behind the ids.

        The result raises `InvalidRequest` where no grammar can be made of the schema, and
        `EngineError` where the ids do not fit it.
        """
        return self._thread.submit(self._make, schema, published_ids)

    def close(self) -> None:
        """Returns when the present compile has ended."""
        self._thread.shutdown(cancel_futures=True)

    def _make(self, schema: str, published_ids: Sequence[int]) -> Grammar:
        grammar = self._compiled(schema).copy()
        if not grammar.advance(published_ids):
            raise EngineError(DIVERGED)
        return grammar

    def _compiled(self, schema: str) -> Grammar:
        if schema not in self._known:
            try:
                compiler = self._compiler.result()
            except ValueError as error:
                complaint = f"json_schema: the model's tokenizer has no grammars: {error}"
                raise InvalidRequest(complaint, "json_schema") from error
            self._known[schema] = compiler.compile(schema)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return self._known[schema]


def await_one(futures: Collection[Future[Grammar]], timeout_s: float) -> None:
    """Returns when one of the grammars has been made, or the time is over."""
    wait(futures, timeout_s, FIRST_COMPLETED)
