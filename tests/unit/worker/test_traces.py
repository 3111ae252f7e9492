from __future__ import annotations

import sys

import pytest

from headrace.core.connection import Client
from headrace.core.errors import SettingsError
from headrace.core.jobs import rq_adapter
from headrace.core.jobs.handover import Claim, Finished, Outcome
from headrace.core.jobs.job import Report, Timings
from headrace.core.settings import Settings
from headrace.core.types import FIRST_VERSION, TRACED_VERSION, Request
from tests.bench import Bench
from tests.fakes import make_request
from tests.otlp_receiver import collector
from worker import traces

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def noted_version(request: Request) -> int:
    """What `claim.lua` compares with the newest version that a worker reads."""
    fields = rq_adapter.job_fields(request)
    return int(fields[fields.index("hr_version") + 1])


def test_a_job_that_is_not_traced_is_what_it_was_before() -> None:
    payload = make_request().encode()

    assert "traceparent" not in payload
    assert payload["version"] == FIRST_VERSION
    assert noted_version(make_request()) == FIRST_VERSION


def test_a_traced_job_waits_for_a_worker_that_knows_what_that_is() -> None:
    request = make_request(traceparent=TRACEPARENT)

    assert noted_version(request) == TRACED_VERSION
    again = Request.decode(request.encode(), id=request.id, priority=request.priority)
    assert again.traceparent == TRACEPARENT


def test_without_an_address_nothing_of_opentelemetry_is_asked_for(settings: Settings) -> None:
    assert isinstance(traces.make_traces(settings, "worker-1"), traces.NoTraces)


def test_traces_without_the_extra_are_refused_with_its_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    asked = settings.model_copy(update={"otlp_url": "http://127.0.0.1:4318"})

    with pytest.raises(SettingsError, match=r"HEADRACE_OTLP_URL.*headrace\[otel\]"):
        traces.make_traces(asked, "worker-1")


def test_a_retried_job_keeps_its_trace(redis: Client, settings: Settings) -> None:
    bench = Bench(redis, settings)
    bench.submit(make_request(traceparent=TRACEPARENT))
    bench.turn(1)
    bench.leases.take_back(bench.worker.name)

    assert bench.queue.get("job-1").request.traceparent == TRACEPARENT


def test_a_batch_that_never_rests_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MOST_LINKS", 2)
    stamps = Timings(*(1000.0 + second for second in range(5)))
    with collector() as received:
        spans = traces.JobTraces(received.url, "worker-1")
        for number in range(5):
            claim = Claim(f"job-{number}", "e", 1, make_request(traceparent=TRACEPARENT))
            spans.stepped()
            spans.ended(Outcome(claim, Report(), 4, reason="length"), Finished("written", stamps))
        spans.ended(Outcome(claim, Report(), 4), Finished("lost"))
        spans.close()

    assert [len(batch.links) for batch in received.named("batch")] == [2, 2, 1]
    assert sum(batch.attributes["headrace.steps"] for batch in received.named("batch")) == 5
    assert len(received.named("decode")) == 5


def test_a_chats_span_is_called_chat_and_a_failure_has_its_type() -> None:
    stamps = Timings(*(1000.0 + second for second in range(5)))
    request = make_request(traceparent=TRACEPARENT, is_chat=True)
    with collector() as received:
        spans = traces.JobTraces(received.url, "worker-1")
        claim = Claim("job-1", "e", 1, request)
        spans.ended(Outcome(claim, Report(), 4, reason="engine_error"), Finished("written", stamps))
        spans.close()

    [job] = received.named(f"chat {request.model}")
    assert job.attributes["gen_ai.operation.name"] == "chat"
    assert job.attributes["gen_ai.provider.name"] == "headrace"
    assert job.attributes["error.type"] == "engine_error"
