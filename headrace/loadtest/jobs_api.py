"""Headrace's own jobs: submit, then wait for the end."""

from __future__ import annotations

from headrace.loadtest.api import FAILED_JOB, Refused, accept, chat_body, note_usage
from headrace.loadtest.prompts import Prompt
from headrace.loadtest.record import Record, ServerTimes
from headrace.loadtest.target import Target

WAIT_S = 30
"""How long one request waits for the end before it asks again."""

RUNNING = {"queued", "running"}


class JobsApi:
    route = "/v1/jobs"

    def __init__(self, target: Target, model: str, temperature: float) -> None:
        self._target, self._model, self._temperature = target, model, temperature

    async def ask(self, prompt: Prompt, record: Record) -> None:
        url = self._target.root + self.route
        body = chat_body(self._model, self._temperature, prompt)
        async with self._target.session.post(url, json=body) as answer:
            await accept(answer, record)
            job = await answer.json(content_type=None)
        job_id = record.job_id = str(job["id"])
        while job["status"] in RUNNING:
            async with self._target.session.get(f"{url}/{job_id}?wait={WAIT_S}") as answer:
                if not answer.ok:
                    raise Refused(f"http_{answer.status}")
                job = await answer.json(content_type=None)
        if job["status"] != "succeeded":
            raise Refused(FAILED_JOB)
        note_usage(job["usage"], record)
        record.server = ServerTimes.of_job(job)
