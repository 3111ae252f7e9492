"""One trace from the HTTP request through the queue to the last token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.genai_attributes import (
    INPUT_TOKENS,
    JOB_ID,
    OPERATION,
    OUTPUT_TOKENS,
    REQUEST_MODEL,
)
from headrace.core.jobs.job import STAGES
from tests.deployment import Deployment, free_port
from tests.otlp_receiver import Collector, Span, collector
from tests.waiting import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SECRET = "a sentence that stays in the queue"


def traced(folder: Path, models: Path, url: str) -> Deployment:
    return Deployment(
        folder,
        models,
        HEADRACE_ENGINE="simulated",
        HEADRACE_SIMULATED_ALPHA_S="0.01",
        HEADRACE_SIMULATED_BETA_S="0",
        HEADRACE_OTLP_URL=url,
    )


@pytest.fixture(scope="module")
def spans_of(
    tmp_path_factory: pytest.TempPathFactory, smollm2_models: Path
) -> Iterator[tuple[Deployment, Collector]]:
    with collector() as received:
        deployment = traced(tmp_path_factory.mktemp("traced"), smollm2_models, received.url)
        deployment.start()
        yield deployment, received
        deployment.close()


def complete(deployment: Deployment, **headers: str) -> str:
    """The id of a job that has ended."""
    body = {"prompt": SECRET, "max_tokens": 5, "temperature": 0}
    answer = deployment.client.post("/v1/completions", json=body, headers=headers)
    answer.raise_for_status()
    return str(answer.headers["X-Headrace-Job-Id"])


def job_span(received: Collector, job_id: str) -> Span:
    def found() -> list[Span]:
        return [span for span in received.spans if span.attributes.get(JOB_ID) == job_id]

    eventually(found, 20)
    return found()[0]


def test_a_trace_leads_from_the_callers_span_through_the_queue_to_decode(
    spans_of: tuple[Deployment, Collector],
) -> None:
    deployment, received = spans_of
    job_id = complete(deployment, traceparent=f"00-{TRACE}-{CALLER}-01")
    job = job_span(received, job_id)
    eventually(lambda: any(s.parent_id == CALLER for s in received.spans), 20)

    [served] = [span for span in received.spans if span.parent_id == CALLER]
    assert (served.service, served.name) == ("headrace-api", "POST /v1/completions")
    assert served.attributes["http.response.status_code"] == 200
    [enqueue] = [s for s in received.named("enqueue") if s.parent_id == served.id]
    assert (job.service, job.parent_id, job.trace_id) == ("headrace-worker", served.id, TRACE)
    assert {served.trace_id, enqueue.trace_id} == {TRACE}
    stages = [span for span in received.spans if span.parent_id == job.id]
    assert [span.name for span in sorted(stages, key=lambda span: span.start)] == list(STAGES)
    assert {span.trace_id for span in stages} == {TRACE}
    assert served.start <= enqueue.start <= job.start + 1_000_000
    assert sum(span.end - span.start for span in stages) == job.end - job.start
    assert (job.attributes[INPUT_TOKENS] > 0, job.attributes[OUTPUT_TOKENS]) == (True, 5)
    assert "smollm2" in str(job.attributes[REQUEST_MODEL]).lower()


def test_a_chat_is_called_chat(spans_of: tuple[Deployment, Collector]) -> None:
    deployment, received = spans_of
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
    answer = deployment.client.post("/v1/chat/completions", json=body)
    job = job_span(received, answer.headers["X-Headrace-Job-Id"])

    assert job.name == f"chat {job.attributes[REQUEST_MODEL]}"
    assert job.attributes[OPERATION] == "chat"


def test_a_batch_links_the_jobs_that_ran_in_it(spans_of: tuple[Deployment, Collector]) -> None:
    deployment, received = spans_of
    job = job_span(received, complete(deployment))
    eventually(lambda: any(job.id in span.links for span in received.named("batch")), 20)

    [batch] = [span for span in received.named("batch") if job.id in span.links]
    assert batch.trace_id != job.trace_id
    assert batch.attributes["headrace.steps"] >= 5
    assert batch.start <= job.end <= batch.end + 1_000_000


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{CALLER}-01"])
def test_without_a_usable_header_a_trace_begins(
    spans_of: tuple[Deployment, Collector], traceparent: str
) -> None:
    deployment, received = spans_of
    job = job_span(received, complete(deployment, traceparent=traceparent))

    assert job.trace_id not in (TRACE, "0" * 32)
    eventually(lambda: any(span.id == job.parent_id for span in received.spans), 20)


def test_what_the_caller_does_not_sample_is_not_sent(
    spans_of: tuple[Deployment, Collector],
) -> None:
    deployment, received = spans_of
    unsampled = "1" * 32
    complete(deployment, traceparent=f"00-{unsampled}-{CALLER}-00")
    job_span(received, complete(deployment))

    assert not [span for span in received.spans if span.trace_id == unsampled]


def test_no_span_has_a_prompt_or_its_answer(spans_of: tuple[Deployment, Collector]) -> None:
    deployment, received = spans_of
    job_id = complete(deployment)
    job_span(received, job_id)
    text = deployment.job(job_id)["result"]["text"]

    said = str([(span.name, span.attributes) for span in received.spans])
    assert SECRET not in said
    assert text.strip() not in said


def test_a_collector_that_is_away_loses_no_job_and_delays_none(
    tmp_path: Path, smollm2_models: Path
) -> None:
    deployment = traced(tmp_path / "up", smollm2_models, f"http://127.0.0.1:{free_port()}")
    deployment.start()
    try:
        jobs = [deployment.job(complete(deployment)) for _number in range(20)]
        assert {job["status"] for job in jobs} == {"succeeded"}
        assert deployment.stop() == 0
    finally:
        deployment.close()
