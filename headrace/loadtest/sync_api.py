"""Whole answers of `POST /v1/chat/completions`."""

from __future__ import annotations

from headrace.loadtest.api import accept, chat_body, note_usage
from headrace.loadtest.prompts import Prompt
from headrace.loadtest.record import Record
from headrace.loadtest.target import Target


class SyncApi:
    route = "/v1/chat/completions"

    def __init__(self, target: Target, model: str, temperature: float) -> None:
        self._target, self._model, self._temperature = target, model, temperature

    async def ask(self, prompt: Prompt, record: Record) -> None:
        url = self._target.root + self.route
        body = chat_body(self._model, self._temperature, prompt)
        async with self._target.session.post(url, json=body) as answer:
            await accept(answer, record)
            completion = await answer.json(content_type=None)
        completion["choices"][0]["message"]  # who answers something else has not answered
        if usage := completion.get("usage"):
            note_usage(usage, record)
