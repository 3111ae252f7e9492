"""The ways of asking: one protocol, and what all of them have in common."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, get_args

from aiohttp import ClientError, ClientResponse

from headrace.loadtest.prompts import Prompt
from headrace.loadtest.record import Record
from headrace.loadtest.target import Target

ApiName = Literal["stream", "sync", "jobs"]
API_NAMES: tuple[ApiName, ...] = get_args(ApiName)

JOB_HEADER = "X-Headrace-Job-Id"
FAILED_JOB = "job_failed"
BAD_ANSWER = "bad_answer"


class Refused(Exception):
    """An answer that is no success; `kind` is counted under this name."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Api(Protocol):
    route: str
    """The Flask rule under which a Headrace counts these requests."""

    async def ask(self, prompt: Prompt, record: Record) -> None:
        """Sends the prompt and notes on the record what comes back. Raises `Refused`."""


async def ask(api: Api, prompt: Prompt, record: Record, timeout_s: float) -> None:
    """Sends the prompt now; whatever goes wrong stands on the record as `error`."""
    now = asyncio.get_running_loop().time
    record.sent = now()
    try:
        async with asyncio.timeout(timeout_s):
            await api.ask(prompt, record)
    except Refused as refused:
        record.error = refused.kind
    except TimeoutError:
        record.error = "timeout"
    except (ClientError, OSError):
        record.error = "connection"
    except (LookupError, TypeError, ValueError, AttributeError):
        record.error = BAD_ANSWER
    record.done = now()


class Posting:
    """What the ways of asking share: where a prompt goes, and in which body."""

    route: str

    def __init__(self, target: Target, model: str, temperature: float) -> None:
        self.target = target
        self._model, self._temperature = model, temperature

    @property
    def url(self) -> str:
        return self.target.root + self.route

    def post(self, prompt: Prompt, **fields: Any) -> AbstractAsyncContextManager[ClientResponse]:
        body = {
            "model": self._model,
            "messages": prompt.messages,
            "max_tokens": prompt.max_tokens,
            "temperature": self._temperature,
        }
        return self.target.session.post(self.url, json=body | fields)


async def accept(answer: ClientResponse, record: Record) -> None:
    """Notes status and job; raises `Refused` for any status but a success."""
    record.status = answer.status
    record.job_id = answer.headers.get(JOB_HEADER)
    if not answer.ok:
        raise Refused(_kind(answer.status, await answer.text()))


def note_usage(usage: Mapping[str, Any], record: Record) -> None:
    record.input_tokens = int(usage["prompt_tokens"])
    record.output_tokens = int(usage["completion_tokens"])
    record.tokens_counted = False


def _kind(status: int, body: str) -> str:
    """A failed job answers 500 like a broken server; only its body tells them apart."""
    try:
        is_failed_job = json.loads(body)["error"]["type"] == FAILED_JOB
    except (LookupError, TypeError, ValueError):
        is_failed_job = False
    return FAILED_JOB if is_failed_job else f"http_{status}"
