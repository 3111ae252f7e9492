"""Another OpenAI-compatible server, with a known law of service; not Headrace."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

Trick = (
    int
    | Literal["drop", "garbage", "endless line", "mad usage", "break", "error event", "failed job"]
)
"""What a request gets instead of an answer: a status, or something worse."""

FAILED_JOB = {"error": {"message": "it failed", "type": "job_failed"}}


@dataclass
class OpenAiServer:
    """`servers` requests are served at a time, each for `service_s`, in the order they came.

    `stall` (a number, s) makes everything from that request on wait so long, once.
    """

    service_s: float = 0.01
    servers: int = 1
    tokens: int = 4
    is_exponential: bool = False
    has_usage: bool = True
    counts: bool = False
    miscounts: int = 0
    stall: tuple[int, float] | None = None
    tricks: list[Trick] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._draw = random.Random(0)
        self._counted: Counter[int] = Counter()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> str:
        self._room = asyncio.Semaphore(self.servers)
        self._awake_at = 0.0
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        """Also of requests whose callers have gone."""
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "other"}]})

    async def _metrics(self, _request: web.Request) -> web.Response:
        if not self.counts:
            raise web.HTTPNotFound
        lines = [
            f'headrace_requests_total{{route="/v1/chat/completions",code="{code}"}} '
            f"{count + (self.miscounts if len(self.bodies) > 2 else 0)}"
            for code, count in self._counted.items()
        ]
        return web.Response(text="\n".join(["# TYPE headrace_requests counter", *lines, ""]))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.keys.add(request.headers.get("Authorization"))
        trick = self.tricks.pop(0) if self.tricks and len(self.bodies) > 2 else None
        self._counted[trick if isinstance(trick, int) else 200] += 1
        if trick is not None:
            return await self._play(trick, request)
        async with self._room:
            await self._wait_out_a_stall()
            service_s = self._draw.expovariate(1 / self.service_s) if self.is_exponential else None
            if body.get("stream"):
                return await self._stream(request, body, service_s or self.service_s)
            await asyncio.sleep(service_s or self.service_s)
        message = {"role": "assistant", "content": "word " * self.tokens}
        whole: dict[str, Any] = {"choices": [{"message": message, "finish_reason": "stop"}]}
        return web.json_response(whole | self._usage(body))

    async def _wait_out_a_stall(self) -> None:
        now = self._loop.time()
        if self.stall is not None and len(self.bodies) >= self.stall[0]:
            self._awake_at, self.stall = now + self.stall[1], None
        await asyncio.sleep(self._awake_at - now)

    async def _stream(
        self, request: web.Request, body: dict[str, Any], service_s: float
    ) -> web.StreamResponse:
        response = await self._events(request)
        await self._send(response, {"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        for number in range(1, self.tokens + 1):
            await asyncio.sleep(service_s / self.tokens)
            end = "stop" if number == self.tokens else None
            choice = {"delta": {"content": "word "}, "finish_reason": end}
            await self._send(response, {"choices": [choice]})
        if self.has_usage:
            await self._send(response, {"choices": []} | self._usage(body))
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _play(self, trick: Trick, request: web.Request) -> web.StreamResponse:
        if isinstance(trick, int):
            said = f"no, {request.headers.get('Authorization')}"
            return web.json_response({"error": {"message": said}}, status=trick)
        if trick == "failed job":
            return web.json_response(FAILED_JOB, status=500)
        if trick == "garbage":
            return web.Response(text="<html>busy</html>")
        if trick == "endless line":
            return web.Response(text="data: " + "x" * 1_000_000)
        if trick == "mad usage":
            return web.Response(
                text='{"choices": [{"message": {}}], "usage": {"prompt_tokens": 1e999}}'
            )
        if trick == "drop":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        response = await self._events(request)
        if trick == "error event":
            await self._send(response, FAILED_JOB)
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        return response

    async def _send(self, response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())

    def _usage(self, body: dict[str, Any]) -> dict[str, Any]:
        """A template of 5 tokens, and two tokens a word."""
        if not self.has_usage:
            return {}
        words = sum(len(message["content"].split()) for message in body["messages"])
        return {"usage": {"prompt_tokens": 5 + 2 * words, "completion_tokens": self.tokens}}
