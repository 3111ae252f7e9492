"""How each of OpenAI's routes writes what its jobs made: whole, or in chunks of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.openai_logprobs import ChatLogprobs, CompletionLogprobs, NoLogprobs
from headrace.core.events import TokenEvent
from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.job import Job
from headrace.core.model_card import ModelCard
from headrace.core.types import Request, TokenLogprobs


class Shape:
    """Of the answer to one HTTP request, with a job for each choice.

    `n` choices stand beside each other for each prompt. `card` is needed for logprobs only;
    `includes_usage` where a stream was asked for its usage.
    """

    prefix: str
    whole: str
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
        self._logprobs = [self.logprobs(card) if card else NoLogprobs() for _job in submitted]
        self._no_usage = {"usage": None} if includes_usage else {}

    def answer(self, jobs: Sequence[Job]) -> dict[str, Any]:
        choices = [self._choice(index, job.result or {}) for index, job in enumerate(jobs)]
        made = sum((job.result or {})["usage"]["completion_tokens"] for job in jobs)
        return self._envelope(self.whole, choices) | {"usage": self._usage(made, jobs)}

    def opening(self, index: int) -> dict[str, Any]:
        """The first chunk of a choice."""
        return self._piece(index, self.first_delta())

    def piece(self, index: int, event: TokenEvent) -> dict[str, Any] | None:
        """The chunk of a choice that an event brings; None where it shows nothing."""
        logprobs = self._logprobs[index].write(event.logprobs)
        finish_reason = event.reason if event.state is not None else None
        if not (event.text or logprobs or finish_reason):
            return None
        return self._piece(index, self.delta(event.text), logprobs, finish_reason)

    def tally(self, output_tokens: int, jobs: Sequence[Job]) -> dict[str, Any]:
        """The last chunk of a stream that asked for its usage; `jobs` where they are known."""
        return self._envelope(self.chunk, []) | {"usage": self._usage(output_tokens, jobs)}

    def message(self, text: str) -> dict[str, Any]:
        """The whole text of a choice."""
        raise NotImplementedError

    def first_delta(self) -> dict[str, Any]:
        raise NotImplementedError

    def delta(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def _choice(self, index: int, result: dict[str, Any]) -> dict[str, Any]:
        entries = [TokenLogprobs.decode(fields) for fields in result.get("logprobs", ())]
        ending = _ending(index, self._logprobs[index].write(entries), result["finish_reason"])
        return self.message(result["text"]) | ending

    def _piece(
        self,
        index: int,
        delta: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> dict[str, Any]:
        choice = delta | _ending(index, logprobs, finish_reason)
        return self._envelope(self.chunk, [choice]) | self._no_usage

    def _usage(self, output_tokens: int, jobs: Sequence[Job]) -> dict[str, Any]:
        """A prompt counts once, however many choices it got; so do its cached tokens."""
        usage: dict[str, Any] = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": self._prompt_tokens + output_tokens,
        }
        reports = [job.report for job in jobs[:: self._n] if job.report is not None]
        if reports:
            cached = sum(report.cached_tokens for report in reports)
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        return usage

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"{self.prefix}-{self.job_ids[0]}",
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }


class Chat(Shape):
    prefix, whole, chunk = "chatcmpl", "chat.completion", "chat.completion.chunk"
    logprobs = ChatLogprobs

    def message(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def first_delta(self) -> dict[str, Any]:
        return {"delta": {"role": "assistant", "content": ""}}

    def delta(self, text: str) -> dict[str, Any]:
        return {"delta": {"content": text} if text else {}}


class Completion(Shape):
    prefix, whole, chunk = "cmpl", "text_completion", "text_completion"
    logprobs = CompletionLogprobs

    def message(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def first_delta(self) -> dict[str, Any]:
        return self.message("")

    def delta(self, text: str) -> dict[str, Any]:
        return self.message(text)


def _ending(
    index: int, logprobs: dict[str, Any] | None, finish_reason: str | None
) -> dict[str, Any]:
    return {"index": index, "logprobs": logprobs, "finish_reason": finish_reason}
