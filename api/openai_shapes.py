"""How each of OpenAI's routes writes what its jobs made: whole, or in chunks of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from api.openai_answers import (
    ChatAnswer,
    ChatChoice,
    Chunk,
    CompletionAnswer,
    CompletionChoice,
    Head,
    Usage,
)
from api.openai_logprobs import ChatLogprobs, CompletionLogprobs, NoLogprobs
from api.turns import in_turns
from headrace.core.events import TokenEvent
from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.job import Job, Report
from headrace.core.model_card import ModelCard
from headrace.core.types import FinishReason, Request, TokenLogprobs


@dataclass(frozen=True, slots=True)
class Choice:
    """What one job made; `logprobs` as its route writes them."""

    index: int
    text: str
    logprobs: Any
    finish_reason: FinishReason


class Shape:
    """Of the answer to one HTTP request, with a job for each choice.

    `n` choices stand beside each other for each prompt. `card` is needed for logprobs only;
    `includes_usage` where a stream was asked for its usage.
    """

    prefix: str
    chunk: str
    logprobs: type[ChatLogprobs] | type[CompletionLogprobs]

    def __init__(
        self,
        requests: Sequence[Request],
        submitted: Sequence[Submitted],
        n: int = 1,
        card: ModelCard | None = None,
        includes_usage: bool = False,
    ) -> None:
        self.job_ids = [job.job_id for job in submitted]
        self._created = int(submitted[0].accepted)
        self._model = requests[0].model
        self._n = n
        self._prompt_tokens = sum(len(request.prompt_ids) for request in requests[::n])
        self._logprobs = [
            self.logprobs(card, request) if card else NoLogprobs() for request in requests
        ]
        self._no_usage = {"usage": None} if includes_usage else {}

    def answer(self, jobs: Sequence[Job]) -> ChatAnswer | CompletionAnswer:
        raise NotImplementedError

    def openings(self) -> list[Chunk]:
        """The chunks before the first token: none unless the route begins each choice with one."""
        return []

    def piece(self, index: int, event: TokenEvent) -> Chunk | None:
        """Returns the chunk with what an event shows of a choice; None where it shows nothing."""
        is_over = event.state is not None
        logprobs = self._logprobs[index].write(event.logprobs, event.text, is_over)
        if not (event.text or logprobs):
            return None
        return self._piece(index, self.delta(event.text), logprobs)

    def ending(self, index: int, finish_reason: str) -> Chunk:
        """Returns the last chunk of a choice: as OpenAI's, it has a finish reason and no text."""
        return self._piece(index, self.delta(""), finish_reason=finish_reason)

    def text_piece(self, index: int, text: str) -> Chunk:
        """The chunk of a choice that brings nothing but text."""
        return self._piece(index, self.delta(text))

    def tally(self, output_tokens: int, reports: Sequence[Report | None]) -> Chunk:
        """The last chunk of a stream that asked for its usage; `reports` where they are known."""
        return self._chunk([]) | {"usage": self._usage(output_tokens, reports)}

    def usage(self, output_tokens: int) -> dict[str, Any]:
        """Returns the usage so far, as a chunk shows it."""
        return {"usage": self._usage(output_tokens, ())}

    def delta(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def _choices(self, jobs: Sequence[Job]) -> Iterator[Choice]:
        for index, job in enumerate(jobs):
            result = job.result or {}
            entries = [
                TokenLogprobs.decode(fields) for fields in in_turns(result.get("logprobs", ()))
            ]
            logprobs = self._logprobs[index].write(entries, result["text"], is_over=True)
            yield Choice(index, result["text"], logprobs, result["finish_reason"])

    def _piece(
        self,
        index: int,
        delta: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> Chunk:
        ending = {"index": index, "logprobs": logprobs, "finish_reason": finish_reason}
        return self._chunk([delta | ending]) | self._no_usage

    def _whole_usage(self, jobs: Sequence[Job]) -> Usage:
        made = sum((job.result or {})["usage"]["completion_tokens"] for job in jobs)
        return self._usage(made, [job.report for job in jobs])

    def _usage(self, output_tokens: int, reports: Sequence[Report | None]) -> Usage:
        """A prompt counts once, however many choices it got; so do its cached tokens."""
        usage: Usage = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": self._prompt_tokens + output_tokens,
        }
        known = [report for report in reports[:: self._n] if report is not None]
        if known:
            cached = sum(report.cached_tokens for report in known)
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        return usage

    def _chunk(self, choices: list[dict[str, Any]]) -> Chunk:
        return {**self._head(), "object": self.chunk, "choices": choices}

    def _head(self) -> Head:
        return {
            "id": f"{self.prefix}-{self.job_ids[0]}",
            "created": self._created,
            "model": self._model,
        }


class Chat(Shape):
    prefix, chunk = "chatcmpl", "chat.completion.chunk"
    logprobs = ChatLogprobs

    def answer(self, jobs: Sequence[Job]) -> ChatAnswer:
        choices: list[ChatChoice] = [
            {
                "index": choice.index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "logprobs": choice.logprobs,
                "finish_reason": choice.finish_reason,
            }
            for choice in self._choices(jobs)
        ]
        usage = self._whole_usage(jobs)
        return {**self._head(), "object": "chat.completion", "choices": choices, "usage": usage}

    def openings(self) -> list[Chunk]:
        delta = {"delta": {"role": "assistant", "content": ""}}
        return [self._piece(index, delta) for index in range(len(self.job_ids))]

    def delta(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}


class Completion(Shape):
    prefix, chunk = "cmpl", "text_completion"
    logprobs = CompletionLogprobs

    def answer(self, jobs: Sequence[Job]) -> CompletionAnswer:
        choices: list[CompletionChoice] = [
            {
                "index": choice.index,
                "text": choice.text,
                "logprobs": choice.logprobs,
                "finish_reason": choice.finish_reason,
            }
            for choice in self._choices(jobs)
        ]
        usage = self._whole_usage(jobs)
        return {**self._head(), "object": "text_completion", "choices": choices, "usage": usage}

    def delta(self, text: str) -> dict[str, Any]:
        return {"text": text}
