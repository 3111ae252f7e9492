"""Whole answers of `POST /v1/chat/completions`."""

from __future__ import annotations

from headrace.loadtest.api import Posting, accept, note_usage
from headrace.loadtest.prompts import Prompt
from headrace.loadtest.record import Record


class SyncApi(Posting):
    route = "/v1/chat/completions"

    async def ask(self, prompt: Prompt, record: Record) -> str:
        async with self.post(prompt) as answer:
            await accept(answer, record)
            completion = await answer.json(content_type=None)
        message = completion["choices"][0]["message"]
        if usage := completion.get("usage"):
            note_usage(usage, record)
        return str(message.get("content") or "")
