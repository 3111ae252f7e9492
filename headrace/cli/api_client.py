"""The API as the command line sees it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from headrace.core.errors import (
    Forbidden,
    HeadraceError,
    InvalidRequest,
    JobNotFound,
    QueueFull,
    Unauthorised,
    Unavailable,
)
from headrace.core.http_client import http_client
from headrace.core.urls import fault_of, masked

Json = dict[str, Any]

JOBS = "/v1/jobs"

ANSWER_TIMEOUT_S = 600.0
"""A little more than the API's longest wait."""

SILENCE_TIMEOUT_S = 30.0
"""An event stream says something every few seconds."""

BROKEN_OFF = "the connection ended before the answer; the job goes on: see `headrace jobs`"
REFUSALS: Mapping[int, type[HeadraceError]] = {
    400: InvalidRequest,
    401: Unauthorised,
    403: Forbidden,
    404: JobNotFound,
    429: QueueFull,
    503: Unavailable,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; a reader goes on behind its `place`, where it has one."""

    name: str
    data: Json
    place: str | None


class ApiClient:
    """Raises `Unavailable` where nothing answers, and the error that an answer's status means.

    `InvalidRequest` for a URL or a key that cannot be sent.
    """

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._shown = masked(url.rstrip("/"))
        if (fault := fault_of(url)) is not None:
            raise InvalidRequest(f"--url: {fault}")
        try:
            self._http = http_client(
                url,
                base_url=url.rstrip("/"),
                timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=5.0),
                headers=_authorization(api_key),
            )
        except (httpx.InvalidURL, ValueError):
            raise InvalidRequest(f"--url: {self._shown} is no URL of HTTP") from None

    def get(self, path: str, **query: Any) -> Json:
        given = {name: value for name, value in query.items() if value is not None}
        with self._answer("GET", path, params=given) as answer:
            return _body(answer)

    def post(self, path: str, body: Json) -> Json:
        with self._answer("POST", path, json=body) as answer:
            return _body(answer)

    def patch(self, path: str, body: Json) -> Json:
        with self._answer("PATCH", path, json=body) as answer:
            return _body(answer)

    def delete(self, path: str, **query: Any) -> Json:
        """An empty object where the answer has no body."""
        with self._answer("DELETE", path, params=query) as answer:
            return {} if answer.status_code == httpx.codes.NO_CONTENT else _body(answer)

    def stream(self, path: str, body: Json) -> Iterator[Json]:
        """The events of an OpenAI stream, up to `[DONE]`."""
        with self._answer("POST", path, json=body) as answer:
            for line in answer.iter_lines():
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if data == "[DONE]":
                    return
                if data:
                    yield _event(data)
        raise Unavailable(BROKEN_OFF)

    def events(self, path: str, after: str | None = None) -> Iterator[Event]:
        """The events of a stream, behind the place `after`."""
        headers = {"Last-Event-ID": after} if after else {}
        timeout = httpx.Timeout(SILENCE_TIMEOUT_S, connect=5.0)
        with self._answer("GET", path, headers=headers, timeout=timeout) as answer:
            yield from _events(answer.iter_lines())

    @contextmanager
    def _answer(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **options) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                yield answer
        except httpx.ConnectError as error:
            raise Unavailable(
                f"no API answers at {self._shown} ({error}); start one with `headrace up`, "
                "or name it with --url"
            ) from error
        except httpx.RemoteProtocolError as error:
            raise Unavailable(BROKEN_OFF) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{self._shown}: {error or type(error).__name__}") from error


def path_of(collection: str, job_id: str) -> str:
    """Whatever the id holds, it stays one part of the path."""
    return f"{collection}/{quote(job_id, safe='')}"


def _authorization(api_key: str | None) -> dict[str, str]:
    """Without quoting a key that cannot be sent: it may be one all the same."""
    key = (api_key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidRequest("--api-key, HEADRACE_API_KEY: holds what no header can")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _body(answer: httpx.Response) -> Json:
    answer.read()
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unavailable(f"{masked(str(answer.url))} does not speak the Headrace API")
    return body


def _event(data: str) -> Json:
    event: Json = json.loads(data)
    if "error" in event:
        raise HeadraceError(_message(event))
    return event


def _events(lines: Iterable[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
        fields = {}


def _refusal(answer: httpx.Response) -> HeadraceError:
    try:
        message = _message(answer.json())
    except (ValueError, LookupError, TypeError, AttributeError):
        message = f"{masked(str(answer.url))} answered {answer.status_code} {answer.reason_phrase}"
    return REFUSALS.get(answer.status_code, HeadraceError)(message)


def _message(body: Json) -> str:
    message, param = str(body["error"]["message"]), body["error"].get("param")
    return f"{param}: {message}" if param and param not in message else message
