"""One running job, as its worker follows it from claim to result."""

from __future__ import annotations

import random
from dataclasses import replace

from headrace.core.jobs.handover import Claim, Outcome, Publication
from headrace.core.jobs.job import Report
from headrace.core.types import (
    SCHEMA_VIOLATION,
    Delta,
    FinishReason,
    Request,
    TokenLogprobs,
)

TIMEOUT, ENGINE_ERROR, REFUSED, STOPPED = "timeout", "engine_error", "refused", "stopped"
"""Reasons of jobs that do not succeed, beside `EXPIRED` and `SCHEMA_VIOLATION`."""

PROGRESS_TOKENS = 16
"""New tokens that a job brings between two preemptions, for each time that it was preempted."""


class Running:
    """Gathers a job's deltas until they are published or its result is written.

    `now` is always the worker's monotonic clock, seconds.
    """

    def __init__(self, claim: Claim, request: Request, worker: str, now: float) -> None:
        self.claim = claim
        self.request = request
        self.started = now
        self._deadline = now + claim.remaining_s
        self._worker = worker
        self._text = claim.published_text
        self._count = len(claim.published_ids)
        self._pending_ids: list[int] = []
        self._pending_text = ""
        self._logprobs = list(claim.published_logprobs)
        self._newest = now
        self._has_streamed = self._count > 0
        self._steps = self._rows = 0
        self._last = Delta(request.id)

    def absorb(self, delta: Delta, rows: int, now: float) -> None:
        """Takes in what one step of `rows` rows added."""
        self._last = delta
        self._steps += 1
        self._rows += rows
        self._count += len(delta.token_ids)
        self._pending_ids += delta.token_ids
        self._pending_text += delta.text
        self._logprobs += delta.logprobs or ()
        self._text += delta.text
        if delta.token_ids:
            self._newest = now

    def is_past_deadline(self, now: float) -> bool:
        return now >= self._deadline

    def is_past_timeout(self, now: float) -> bool:
        return now - self.started > self.claim.timeout_s

    @property
    def text(self) -> str:
        """The answer so far, that of earlier attempts included."""
        return self._text

    @property
    def has_last_token(self) -> bool:
        """Whether the engine is done with it."""
        return self._last.is_last

    @property
    def has_unchecked_answer(self) -> bool:
        """Whether its answer is to be checked: one under a schema, that claims to be whole.

        A stop string may have cut it: its reader could not tell, so it has to fit as well.
        """
        under_schema = self.request.sampling.json_schema is not None
        return under_schema and self._last.finish_reason is FinishReason.STOP

    @property
    def output_tokens(self) -> int:
        """Those of earlier attempts included."""
        return self._count

    @property
    def redo_tokens(self) -> int:
        """What another attempt would have to read before it can go on."""
        return len(self.request.prompt_ids) + self._count

    @property
    def is_open(self) -> bool:
        """Whether its caller named no limit."""
        return self.request.sampling.expected_tokens > 0

    @property
    def may_yield(self) -> bool:
        """Whether it may make room: at any time once, and then each time after more progress.

        One that has its last token has no room to give.
        """
        new_tokens = self._count - len(self.claim.published_ids)
        return not self.has_last_token and new_tokens >= PROGRESS_TOKENS * self.claim.preemptions

    @property
    def left_tokens(self) -> int:
        """Output tokens that it will probably still produce."""
        return self.request.left_tokens(self._count)

    @property
    def kept_tokens(self) -> int:
        """Cache places that are kept for it."""
        return self.request.kept_tokens(self._count)

    @property
    def has_news(self) -> bool:
        return bool(self._pending_ids)

    @property
    def is_urgent(self) -> bool:
        """A reader waits for the first token: it is published without delay."""
        return self.has_news and not self._has_streamed

    @property
    def _pending_logprobs(self) -> list[TokenLogprobs]:
        """Of the tokens not published yet; none where the request did not ask for them."""
        return self._logprobs[max(0, len(self._logprobs) - len(self._pending_ids)) :]

    def publication(self, now: float) -> Publication:
        """The tokens not published yet; they count as published from here on."""
        publication = Publication(
            self.claim,
            self._count,
            tuple(self._pending_ids),
            self._pending_text,
            now - self._newest,
            self._pending_logprobs,
        )
        self._pending_ids, self._pending_text, self._has_streamed = [], "", True
        return publication

    def outcome(self, now: float) -> Outcome:
        """The job's end, after its last delta."""
        if self._last.error is not None:
            failure = self.failure(ENGINE_ERROR, self._last.error, now)
            return _retryable(failure) if self._last.may_pass else failure
        return self._success(now)

    def judged(self, complaint: str | None, may_pass: bool, now: float) -> Outcome:
        """Its end after the check of its answer; with `may_pass` the check is tried again."""
        if complaint is None:
            return self._success(now)
        if may_pass:
            return _retryable(self.failure(ENGINE_ERROR, complaint, now))
        return self.failure(SCHEMA_VIOLATION, complaint, now)

    def _success(self, now: float) -> Outcome:
        reason = self._last.finish_reason
        result: dict[str, object] = {
            "text": self._text,
            "finish_reason": reason,
            "usage": {
                "prompt_tokens": len(self.request.prompt_ids),
                "completion_tokens": self._count,
                "cached_tokens": self._last.cached_tokens,
            },
        }
        if self.request.sampling.logprobs is not None:
            result["logprobs"] = [entry.encode() for entry in self._logprobs]
        return self._end(now, result=result, reason=str(reason))

    def failure(self, reason: str, error: str, now: float) -> Outcome:
        return self._end(now, reason=reason, error=error)

    def stopped(self, now: float) -> Outcome:
        """Its end on the request of RQ's `send_stop_job_command`."""
        return replace(self.failure(STOPPED, "stopped on request", now), is_stopped=True)

    def _end(
        self, now: float, reason: str, error: str = "", result: dict[str, object] | None = None
    ) -> Outcome:
        return Outcome(
            claim=self.claim,
            report=self._report(),
            count=self._count,
            token_ids=tuple(self._pending_ids),
            text=self._pending_text,
            logprobs=self._pending_logprobs,
            age_s=now - self._newest,
            result=result,
            reason=reason,
            error=error,
        )

    def _report(self) -> Report:
        reason = self._last.finish_reason
        return Report(
            model=self.request.model,
            tenant=self.request.tenant,
            priority=self.request.priority,
            prompt_tokens=len(self.request.prompt_ids),
            output_tokens=self._count,
            cached_tokens=self._last.cached_tokens,
            tokenize_s=self.request.tokenize_s,
            prefill_s=self._last.prefill_s,
            decode_s=self._last.decode_s,
            batch_size=self._rows / self._steps if self._steps else 0.0,
            worker=self._worker,
            attempt=self.claim.attempt,
            finish_reason=str(reason) if reason else None,
        )


def _retryable(failure: Outcome) -> Outcome:
    """Tried again while RQ's retries last, and a dead letter after that.

    The share of the interval is drawn, so that jobs which failed together do not return together.
    """
    return replace(failure, retry_share=random.uniform(0.5, 1.0), is_dead=True)
