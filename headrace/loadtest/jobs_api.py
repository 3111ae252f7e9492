"""Headrace's own jobs: submit, then wait for the end."""

from __future__ import annotations

from headrace.loadtest.api import FAILED_JOB, Posting, Refused, accept, note_usage
from headrace.loadtest.prompts import Prompt
from headrace.loadtest.record import Record, ServerTimes

WAIT_S = 30
"""How long one request waits for the end before it asks again."""

RUNNING = {"queued", "running"}


class JobsApi(Posting):
    route = "/v1/jobs"

    async def ask(self, prompt: Prompt, record: Record) -> str:
        async with self.post(prompt) as answer:
            await accept(answer, record)
            job = await answer.json(content_type=None)
        job_id = record.job_id = str(job["id"])
        while job["status"] in RUNNING:
            async with self.target.session.get(f"{self.url}/{job_id}?wait={WAIT_S}") as answer:
                if not answer.ok:
                    raise Refused(f"http_{answer.status}")
                job = await answer.json(content_type=None)
        if job["status"] != "succeeded":
            raise Refused(FAILED_JOB)
        note_usage(job["usage"], record)
        record.server = ServerTimes.of_job(job)
        return str(job["result"]["text"])
