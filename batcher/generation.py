"""One request inside an engine: its ids so far, their text, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batcher.detokenizer import Detokenizer
from headrace.core.model_card import ModelCard
from headrace.core.types import Delta, FinishReason, Request, Sampling, TokenLogprobs


class Generation:
    """The output of one request while it grows; every engine keeps one a request.

    `ids` are prompt and output together, `read_tokens` how many of them the engine has read and
    `cached_tokens` how many of the prompt's an earlier request had left to it. `ends` are the ids
    that end the output, once it `may_end`. `resume_ids` were
    published by an earlier attempt: they count as output, and their text (published with them) is
    not given out again.
    """

    def __init__(self, request: Request, card: ModelCard, resume_ids: Iterable[int] = ()) -> None:
        self.request = request
        self.ids = list(request.prompt_ids)
        self.read_tokens = 0
        self.cached_tokens = 0
        self.prefill_s = 0.0
        self.decode_s = 0.0
        self.finish_reason: FinishReason | None = None
        self.error: str | None = None
        self.may_pass = False
        rules = request.sampling
        self.ends = frozenset((*rules.stop_token_ids, *_eos_token_ids(rules, card)))
        self._least_ids = len(request.prompt_ids) + rules.min_tokens
        self._most_ids = request.cost_tokens
        self._wants_logprobs = rules.logprobs is not None
        self._detokenizer = Detokenizer(
            card.output_bytes(rules.skip_special_tokens),
            request.prompt_ids,
            rules.stop,
            rules.min_tokens,
        )
        if rules.max_tokens <= 0:
            self.finish_reason = FinishReason.LENGTH
        for token_id in resume_ids:
            self._append(token_id)

    @classmethod
    def begin(
        cls,
        request: Request,
        card: ModelCard,
        vocabulary: int,
        resume_ids: Sequence[int],
        holds_json_schema: bool = False,
    ) -> Generation:
        """A generation of `request`, failed from the start if this engine cannot run it.

        `holds_json_schema` says that the engine can hold output to one.
        """
        error = _complaint(request, resume_ids, card.context_tokens, vocabulary)
        if request.sampling.json_schema is not None and not holds_json_schema:
            error = error or "json_schema: this engine cannot hold output to a JSON schema"
        generation = cls(request, card, () if error else resume_ids)
        generation.error = error
        return generation

    @property
    def output_tokens(self) -> int:
        return len(self.ids) - len(self.request.prompt_ids)

    @property
    def kept_tokens(self) -> int:
        """Cache places to keep for it: those that it fills, and will probably fill."""
        return self.request.kept_tokens(self.output_tokens)

    @property
    def is_over(self) -> bool:
        return self.finish_reason is not None or self.error is not None

    @property
    def may_end(self) -> bool:
        """Whether the next id may be one of `ends`."""
        return len(self.ids) >= self._least_ids

    def accept(self, token_id: int, logprobs: TokenLogprobs | None = None) -> Delta:
        """Takes the next output id, with its `logprobs` where the request asked for them."""
        entries = () if logprobs is None else (logprobs,)
        return self._delta((token_id,), self._append(token_id), entries)

    def fail(self, error: str, may_pass: bool = False) -> Delta:
        self.error, self.may_pass = error, may_pass
        return self.close()

    def close(self) -> Delta:
        """The last delta of a generation that is over without another id."""
        return self._delta()

    def _append(self, token_id: int) -> str:
        if self.finish_reason is not None:
            return ""
        # An end has no text, though it may be an ordinary token to its tokenizer.
        is_end = token_id in self.ends and self.may_end
        self.ids.append(token_id)
        text = "" if is_end else self._detokenizer.add_one(token_id)
        if is_end or self._detokenizer.stopped:
            self.finish_reason = FinishReason.STOP
        elif len(self.ids) >= self._most_ids:
            self.finish_reason = FinishReason.LENGTH
        else:
            return text
        return text + self._detokenizer.flush()

    def _delta(
        self,
        token_ids: tuple[int, ...] = (),
        text: str = "",
        logprobs: tuple[TokenLogprobs, ...] = (),
    ) -> Delta:
        return Delta(
            self.request.id,
            token_ids,
            text,
            logprobs if self._wants_logprobs else None,
            None if self.error else self.finish_reason,
            self.error,
            self.may_pass,
            self.cached_tokens,
            self.prefill_s,
            self.decode_s,
        )


def _complaint(
    request: Request, resume_ids: Sequence[int], context_tokens: int, vocabulary: int
) -> str | None:
    """Why no engine can run this request, in words without any of its prompt."""
    if not request.prompt_ids:
        return "the prompt is empty"
    if request.cost_tokens > context_tokens:
        return (
            f"{len(request.prompt_ids)} prompt tokens and {request.sampling.max_tokens} output"
            f" tokens exceed the context of {context_tokens} tokens"
        )
    if not all(0 <= token_id < vocabulary for token_id in (*request.prompt_ids, *resume_ids)):
        return "the prompt has a token id outside the model's vocabulary"
    return _rules_complaint(request.sampling, vocabulary)


def _rules_complaint(rules: Sampling, vocabulary: int) -> str | None:
    """Why no engine can keep these rules."""
    named = {
        "stop_token_ids": rules.stop_token_ids,
        "logit_bias": [token_id for token_id, _bias in rules.logit_bias],
    }
    for name, ids in named.items():
        if not all(0 <= token_id < vocabulary for token_id in ids):
            return f"{name}: a token id outside the model's vocabulary"
    return None


def _eos_token_ids(rules: Sampling, card: ModelCard) -> tuple[int, ...]:
    """The ends of sequence that count."""
    return () if rules.ignore_eos else card.eos_token_ids
