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
LONGEST_MESSAGE = 200


class Refused(Exception):
    """An answer that is no success: counted as `kind`, with what the server said."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.message = message


class Api(Protocol):
    route: str
    """The Flask rule under which a Headrace counts these requests."""

    async def ask(self, prompt: Prompt, record: Record) -> str:
        """Sends the prompt, notes on the record what comes back, and returns the answer's text.

        Raises `Refused`.
        """


async def ask(api: Api, prompt: Prompt, record: Record, timeout_s: float) -> str:
    """Sends the prompt now, and returns the text of its answer.

    Whatever goes wrong stands on the record as `error`.
    """
    answer = ""
    now = asyncio.get_running_loop().time
    record.sent = now()
    try:
        async with asyncio.timeout(timeout_s):
            answer = await api.ask(prompt, record)
    except Refused as refused:
        record.error, record.message = refused.kind, refused.message
    except TimeoutError:
        record.error = "timeout"
    except (ClientError, OSError) as error:
        record.error, record.message = "connection", str(error)
    except Exception as error:  # whatever a server thinks of, it is one answer among many
        record.error, record.message = BAD_ANSWER, type(error).__name__
    record.done = now()
    return answer


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
        raise _refusal(answer, await answer.text(errors="replace"))


def note_usage(usage: Mapping[str, Any], record: Record) -> None:
    record.input_tokens = _count(usage["prompt_tokens"])
    record.output_tokens = _count(usage["completion_tokens"])
    record.tokens_counted = False
    if (details := usage.get("prompt_tokens_details")) is not None:
        record.cached_tokens = _count(details.get("cached_tokens") or 0)


def _count(tokens: Any) -> int:
    if int(tokens) < 0:
        raise ValueError("a negative number of tokens")
    return int(tokens)


def _refusal(answer: ClientResponse, body: str) -> Refused:
    """A failed job answers 500 like a broken server; only its body tells them apart."""
    try:
        error = json.loads(body)["error"]
        kind, message = error.get("type"), str(error["message"])
    except (LookupError, TypeError, ValueError, AttributeError):
        kind, message = None, body
    key = answer.request_info.headers.get("Authorization", "").removeprefix("Bearer ")
    if key:  # some servers repeat it
        message = message.replace(key, "***")
    message = "".join(each if each.isprintable() else " " for each in message)
    known = FAILED_JOB if kind == FAILED_JOB else f"http_{answer.status}"
    return Refused(known, message[:LONGEST_MESSAGE])
