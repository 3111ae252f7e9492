"""Spans of jobs and batches, made of the stamps that a job has anyway: nothing is timed for them.

A job's span hangs in the trace of the HTTP request which brought it, its stages below it. A batch
is a stretch without a rest: its span stands in a trace of its own and links the jobs that ended in
it. A worker that never rests ends one every `LONGEST_S`, or after `MOST_LINKS` jobs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from headrace.core import genai_attributes, tracing
from headrace.core.genai_attributes import ERROR_TYPE, JOBS, REASON, STATE, STEPS, WORKER
from headrace.core.jobs.handover import Finished, Outcome
from headrace.core.jobs.job import STAGES, STAMPS
from headrace.core.settings import Settings
from headrace.core.types import JobState, Request

if TYPE_CHECKING:
    from opentelemetry.trace import Link, SpanContext

LONGEST_S = 30.0
MOST_LINKS = 128


class Traces(Protocol):
    def ended(self, outcome: Outcome, result: Finished) -> None:
        """A job's result is stored."""

    def stepped(self) -> None:
        """The engine took a step."""

    def rested(self) -> None:
        """Nothing runs any more."""

    def close(self) -> None:
        """Sends what is left."""


class NoTraces:
    def ended(self, outcome: Outcome, result: Finished) -> None:
        """Nobody asks."""

    def stepped(self) -> None:
        """Nobody asks."""

    def rested(self) -> None:
        """Nobody asks."""

    def close(self) -> None:
        """Nothing is left."""


class JobTraces:
    def __init__(self, url: str, worker: str) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._worker = worker
        self._provider = tracing.make_provider(url, "headrace-worker", worker)
        self._tracer = self._provider.get_tracer("headrace.worker")
        self._began_ns: int | None = None
        self._steps = 0
        self._links: list[Link] = []

    def ended(self, outcome: Outcome, result: Finished) -> None:
        request = outcome.claim.request
        if request is None or not request.traceparent or result.timings is None:
            return
        stamps = [getattr(result.timings, name) for name in STAMPS]
        if None in stamps:
            return
        context = self._job(request, outcome, stamps)
        if context.trace_flags.sampled:
            self._links.append(self._trace.Link(context))
        if len(self._links) >= MOST_LINKS:
            self.rested()

    def _job(self, request: Request, outcome: Outcome, stamps: list[float]) -> SpanContext:
        """The spans of a job and its stages; returns the context of the first."""
        moments = [int(stamp * 1e9) for stamp in stamps]
        attributes = {
            **genai_attributes.of_request(request),
            **genai_attributes.of_report(outcome.report),
            STATE: str(outcome.state),
            REASON: outcome.reason,
        }
        parent = tracing.context_of(request.traceparent)
        kind = self._trace.SpanKind.CONSUMER
        name = f"{genai_attributes.operation_of(request)} {request.model}"
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=moments[0])
        inside = self._trace.set_span_in_context(span, parent)
        for stage, begin, end in zip(STAGES, moments, moments[1:], strict=False):
            self._tracer.start_span(stage, inside, start_time=begin).end(end)
        if outcome.state is not JobState.SUCCEEDED:
            span.set_attribute(ERROR_TYPE, outcome.reason or str(outcome.state))
            span.set_status(self._trace.StatusCode.ERROR, outcome.reason)
        span.end(moments[-1])
        return span.get_span_context()

    def stepped(self) -> None:
        now_ns = time.time_ns()
        if self._began_ns is None:
            self._began_ns = now_ns
        self._steps += 1
        if now_ns - self._began_ns > LONGEST_S * 1e9:
            self.rested()

    def rested(self) -> None:
        """Ends the batch; one of which no job was traced is not told of."""
        if self._links:
            attributes: dict[str, str | int] = {
                WORKER: self._worker,
                STEPS: self._steps,
                JOBS: len(self._links),
            }
            self._tracer.start_span(
                "batch", None, attributes=attributes, links=self._links, start_time=self._began_ns
            ).end()
        self._began_ns, self._steps, self._links = None, 0, []

    def close(self) -> None:
        self.rested()
        tracing.close(self._provider)


def make_traces(settings: Settings, worker: str) -> Traces:
    """Raises `SettingsError` where traces are asked for and cannot be made."""
    return NoTraces() if settings.otlp_url is None else JobTraces(settings.otlp_url, worker)
