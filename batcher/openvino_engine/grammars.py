"""The grammars of requests, compiled beside the pipeline's steps."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait

from batcher.background import step_back
from batcher.openvino_engine.grammar_compiler import GrammarCompiler
from batcher.openvino_engine.pipeline import Pipeline
from headrace.core.errors import InvalidRequest
from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.writing import grammar_of

REMEMBERED = 256
"""Schemas whose grammar the tokenizer has."""


class Grammars:
    """Compiles one grammar at a time in a thread, into the tokenizer that the pipeline uses too.

    The pipeline then has only to look it up. The two must not do so at once, since the tokenizer
    notes the times of compiles without a lock: no request with a schema enters the pipeline while
    a compile runs, and none begins before such a request has passed its first step.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline: Pipeline | None = pipeline
        self._compiler: GrammarCompiler | None = None
        self._grammars: dict[str, str | Unheld] = {}
        self._thread = ThreadPoolExecutor(1, "grammars", step_back)
        self._compile: Future[None] | None = None

    def may_enter(self, schema: str, others_enter: bool) -> bool:
        """Whether a request with this schema may enter the pipeline now.

        Begins its compile otherwise, unless another one runs or `others_enter` the pipeline.
        """
        if self._compile is not None and not self._compile.done():
            return False
        if schema in self._grammars:
            return True
        if not others_enter:
            self._compile = self._thread.submit(self._make, schema)
        return False

    def of(self, schema: str) -> str:
        """The grammar of a schema; raises `InvalidRequest` where none could be made."""
        grammar = self._grammars[schema]
        if isinstance(grammar, Unheld):
            raise InvalidRequest(f"json_schema: {grammar}", "json_schema")
        return grammar

    def wait(self, timeout_s: float) -> None:
        """Returns when the present compile has ended, or the time is over."""
        if self._compile is not None:
            wait([self._compile], timeout_s)

    def close(self) -> None:
        """Returns when the present compile has ended."""
        self._thread.shutdown()
        self._compiler = self._pipeline = None

    def _make(self, schema: str) -> None:
        try:
            grammar = grammar_of(schema)
            complaint = self._loaded().compile(grammar)
            self._remember(schema, grammar if complaint is None else Unheld(complaint))
        except Unheld as error:
            self._remember(schema, error)
        except Exception as error:  # nobody asks the future for it
            self._remember(schema, Unheld(f"its grammar was not compiled: {error}"))

    def _loaded(self) -> GrammarCompiler:
        """The compiler, which takes a moment to load and is not always needed."""
        if self._compiler is None:
            assert self._pipeline is not None
            tokenizer = self._pipeline.runner.get_tokenizer()
            self._compiler = GrammarCompiler(tokenizer, self._pipeline.vocabulary)
        return self._compiler

    def _remember(self, schema: str, grammar: str | Unheld) -> None:
        """A schema that was forgotten is compiled again, which takes the tokenizer no time."""
        if len(self._grammars) == REMEMBERED:
            del self._grammars[next(iter(self._grammars))]
        self._grammars[schema] = grammar
