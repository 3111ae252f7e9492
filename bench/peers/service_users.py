"""Users of a service: the load tester's, who stream chat completions over HTTP."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from bench.closed_loop import Answer, Course, DrawnPrompts
from bench.peers.pipe import Answers, serve
from headrace.loadtest.calibration import Calibration
from headrace.loadtest.level import Level
from headrace.loadtest.loads import ClosedLoad, Limits
from headrace.loadtest.prompts import WordLength
from headrace.loadtest.record import Record
from headrace.loadtest.stream_api import StreamApi
from headrace.loadtest.target import Address, Target, open_target

TIMEOUT_S = 600.0


class ServiceUsers:
    """Users of the server at `url`, which serves one model.

    `keeps` False: each request has a connection of its own. llama.cpp's server announces that it
    keeps connections, and closes them behind a stream.
    """

    def __init__(self, url: str, keeps: bool) -> None:
        self._address = Address.parse(url)
        self._keeps = keeps
        self._model, self._length = asyncio.run(self._ask())

    def run(self, course: Course) -> list[Answer]:
        """Returns when all that was sent is answered. Raises `RuntimeError` where one fails."""
        return [_answer(record) for record in asyncio.run(self._send(course))]

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Target]:
        if self._keeps:
            async with open_target(self._address, None) as target:
                yield target
        else:
            connector, no_limit = TCPConnector(limit=0, force_close=True), ClientTimeout(total=None)
            async with ClientSession(connector=connector, timeout=no_limit) as session:
                yield Target(session, self._address)

    async def _ask(self) -> tuple[str, WordLength]:
        """The model, and how many of its tokens a word is."""
        async with self._open() as target:
            model = await target.first_model()
            length = await Calibration(StreamApi(target, model, 0.0), 0, TIMEOUT_S).words()
        return model, length

    async def _send(self, course: Course) -> list[Record]:
        load = ClosedLoad(course.users, course.prompt_tokens, course.output_tokens)
        limits = Limits(course.warm_up_s, course.seconds, None)
        prompts = DrawnPrompts(self._length, course.seed)
        async with self._open() as target:
            api = StreamApi(target, self._model, 0.0)
            level = Level(load, limits, api, prompts, TIMEOUT_S)
            await asyncio.sleep(course.begins_at - asyncio.get_running_loop().time())
            await level.run()
        return level.records


def _answer(record: Record) -> Answer:
    if record.error is not None or record.first_token is None or record.last_token is None:
        raise RuntimeError(f"a request failed: {record.error} {record.message}")
    return Answer(record.sent, record.first_token, record.last_token, record.output_tokens)


def _load(arguments: argparse.Namespace) -> Answers:
    users = ServiceUsers(arguments.url, arguments.keeps)

    def run(question: dict[str, Any]) -> dict[str, Any]:
        return {"answers": [each.encode() for each in users.run(Course(**question))]}

    return {"run": run}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--close", dest="keeps", action="store_false", help="every connection")
    return parser.parse_args()


if __name__ == "__main__":
    serve(_load, _parse)
