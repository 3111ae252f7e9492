"""The checker: compares what was acknowledged with what became of it."""

from __future__ import annotations

from collections import Counter

from redis.exceptions import RedisError

from headrace.core import events
from headrace.core.errors import JobNotFound
from headrace.core.jobs import rq_adapter
from headrace.core.jobs.job import Job
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState
from tests.chaos.acknowledgements import Acknowledgements
from tests.chaos.stream_reader import StreamReader
from tests.chaos.verdict import Verdict

MOST_RECORDS = 100_000


class Checker:
    """Reads past the proxy. `reader` follows the streams while the jobs run."""

    def __init__(self, queue: JobQueue, acknowledgements: Acknowledgements) -> None:
        self.reader = StreamReader(queue.redis, self.unfinished)
        self._queue = queue
        self._acknowledgements = acknowledgements
        self._ended: set[str] = set()

    def unfinished(self) -> set[str]:
        """Acknowledged jobs that have not ended, as far as can be seen now."""
        waiting = set(self._acknowledgements.read()) - self._ended
        self._ended |= {job_id for job_id in waiting if self._has_ended(job_id)}
        return waiting - self._ended

    def verdict(self) -> Verdict:
        ids = self._acknowledgements.read()
        records = Counter(
            record.job_id for record in events.completions(self._queue.redis, MOST_RECORDS)
        )
        verdict = Verdict(jobs=len(ids))
        for job_id in ids:
            self._judge(job_id, records[job_id], verdict)
        return verdict

    def _judge(self, job_id: str, records: int, verdict: Verdict) -> None:
        job = self._find(job_id)
        if job is None or not job.state.is_terminal or records == 0:
            verdict.lost.append(job_id)
            return
        if records > 1 or self._queue.redis.xlen(rq_adapter.results_key(job_id)) > 1:
            verdict.duplicated.append(job_id)
        if not self._is_consistent(job):
            verdict.contradicted.append(job_id)
        if job.attempts > 1:
            verdict.redelivered.append(job_id)
        if self._queue.redis.hexists(rq_adapter.job_key(job_id), "hr_deaths"):
            verdict.blamed.append(job_id)

    def _is_consistent(self, job: Job) -> bool:
        stream = events.tokens(self._queue.redis, job.id)
        text = "".join(event.text for event in stream)
        tokens = sum(len(event.token_ids) for event in stream)
        self.reader.compare(job.id, text)
        return (
            job.id not in self.reader.contradicted
            and [event.state for event in stream if event.state] == [job.state]
            and _says_the_same(job, text, tokens)
        )

    def _find(self, job_id: str) -> Job | None:
        try:
            return self._queue.get(job_id)
        except JobNotFound:
            return None

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self._queue.state(job_id).is_terminal
        except (JobNotFound, RedisError):
            return False


def _says_the_same(job: Job, text: str, tokens: int) -> bool:
    if job.state is not JobState.SUCCEEDED:
        return True
    assert job.result is not None
    completion_tokens: int = job.result["usage"]["completion_tokens"]
    wanted = job.request.sampling.max_tokens
    return bool(job.result["text"] == text and tokens == completion_tokens == wanted)
