"""Running: what a job's deltas add up to."""

from __future__ import annotations

from headrace.core.jobs.handover import Claim
from headrace.core.types import Delta, FinishReason, JobState, Sampling, TokenLogprobs
from tests.fakes import make_request
from worker.running import ENGINE_ERROR, Running


def start(published: str = "") -> Running:
    request = make_request()
    ids = tuple(range(len(published)))
    claim = Claim("job-1", "e", 1, request, published_ids=ids, published_text=published)
    return Running(claim, request, "worker-1", now=10.0)


def test_pending_tokens_are_published_once() -> None:
    job = start()
    job.absorb(Delta("job-1", (1,), "a"), rows=1, now=10.1)
    job.absorb(Delta("job-1", (2,), "b"), rows=1, now=10.2)

    publication = job.publication(now=10.5)
    assert (publication.token_ids, publication.text, publication.count) == ((1, 2), "ab", 2)
    assert round(publication.age_s, 3) == 0.3
    assert not job.has_news


def test_only_the_first_token_is_urgent() -> None:
    job = start()
    job.absorb(Delta("job-1", (1,), "a"), rows=1, now=10.1)
    assert job.is_urgent
    job.publication(now=10.1)
    job.absorb(Delta("job-1", (2,), "b"), rows=1, now=10.2)
    assert not job.is_urgent


def test_a_continued_job_counts_and_keeps_what_was_published() -> None:
    job = start(published="ab")
    job.absorb(Delta("job-1", (3,), "c", finish_reason=FinishReason.LENGTH), rows=1, now=11.0)

    outcome = job.outcome(now=11.0)
    assert outcome.result is not None
    assert outcome.result["text"] == "abc"
    assert (outcome.count, outcome.token_ids, outcome.text) == (3, (3,), "c")
    assert outcome.state is JobState.SUCCEEDED


def test_the_batch_size_is_the_mean_over_the_jobs_own_steps() -> None:
    job = start()
    job.absorb(Delta("job-1", (1,), "a"), rows=4, now=11.0)
    job.absorb(Delta("job-1", (2,), "b", finish_reason=FinishReason.STOP), rows=2, now=12.0)

    assert job.outcome(now=12.0).report.batch_size == 3


def test_an_engine_error_fails_the_job() -> None:
    job = start()
    job.absorb(Delta("job-1", error="NaN in the logits"), rows=1, now=11.0)

    outcome = job.outcome(now=11.0)
    assert (outcome.state, outcome.reason) == (JobState.FAILED, ENGINE_ERROR)
    assert outcome.error == "NaN in the logits"


def entry(token_id: int) -> TokenLogprobs:
    return TokenLogprobs(token_id, -0.5, ((token_id, -0.5), (9, -1.25)))


def test_logprobs_are_published_with_their_tokens_and_the_result_has_all_of_them() -> None:
    request = make_request(sampling=Sampling(5, logprobs=2))
    claim = Claim("job-1", "e", 2, request, published_ids=(0,), published_logprobs=(entry(0),))
    job = Running(claim, request, "worker-2", now=10.0)
    job.absorb(Delta("job-1", (1,), "a", (entry(1),)), rows=1, now=10.1)
    job.absorb(Delta("job-1", (2,), "b", (entry(2),)), rows=1, now=10.2)
    assert job.publication(now=10.2).logprobs == [entry(1), entry(2)]

    last = Delta("job-1", (3,), "c", (entry(3),), finish_reason=FinishReason.STOP)
    job.absorb(last, rows=1, now=10.3)
    outcome = job.outcome(now=10.3)
    assert outcome.logprobs == [entry(3)]
    assert outcome.result is not None
    assert outcome.result["logprobs"] == [entry(token_id).encode() for token_id in range(4)]


def test_a_result_has_no_logprobs_unless_they_were_asked_for() -> None:
    job = start()
    job.absorb(Delta("job-1", (1,), "a", finish_reason=FinishReason.STOP), rows=1, now=11.0)

    outcome = job.outcome(now=11.0)
    assert outcome.result is not None
    assert "logprobs" not in outcome.result
    assert outcome.logprobs == []
