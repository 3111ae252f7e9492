"""The API's CPU time for each streamed token, in milliseconds over its processes.

    python -m bench.stream_cost [--streams 32] [--tokens 200] [--json bench/results/stream.json]

An embedded server and the real API; no engine. This process claims the jobs of all streams and
publishes one token for each of them every 50 ms, as a worker does. Clients in a process of their
own read the streams. The first tokens warm up; over the others the CPU time (user and system,
/proc) of the API's processes is read and divided by their number. Two front doors: chunks of
/v1/chat/completions, and the events of /v1/jobs/ID/stream.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.api_process import ApiProcess
from bench.conditions import conditions
from bench.machine_conditions import machine_conditions
from bench.report import hand_in, make_parser
from bench.server import Server, empty
from bench.stream_readers import READING, Read
from bench.target import Target
from bench.workload import CARD, make_request, roomy_settings
from headrace.core.card_store import CardStore
from headrace.core.jobs.handover import Claim, Outcome, Publication
from headrace.core.jobs.job import Report
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import Room

STEP_S = 0.05
WARM_UP_TOKENS = 20
PATIENCE_S = 60.0
TEXT, TOKEN_ID = " token", 7
CHAT_CARD = replace(CARD, chat_template="{% for each in messages %}{{ each.content }}{% endfor %}")
MARKS = {"chat": f'"content": "{TEXT}"', "jobs": "event: token"}


class StreamCost:
    """Streams of one API on one server; `tokens` are those measured in each."""

    def __init__(self, server: Server, streams: int, tokens: int) -> None:
        lasting = (WARM_UP_TOKENS + tokens) * STEP_S * 2 + PATIENCE_S
        self._queue = JobQueue(server.client(), roomy_settings(lease_s=lasting))
        self._streams, self._tokens = streams, tokens

    def of_chat(self, api: ApiProcess) -> float:
        """CPU milliseconds a token."""
        body = {
            "messages": [{"role": "user", "content": "One, two, three:"}],
            "max_tokens": self._most_tokens,
            "stream": True,
        }
        request = _request("POST /v1/chat/completions", json.dumps(body))
        return self._measure(api, [request] * self._streams, MARKS["chat"])

    def of_jobs(self, api: ApiProcess) -> float:
        """CPU milliseconds a token."""
        requests = [make_request(max_tokens=self._most_tokens) for _stream in range(self._streams)]
        job_ids = [self._queue.submit(request).job_id for request in requests]
        paths = [_request(f"GET /v1/jobs/{job_id}/stream") for job_id in job_ids]
        return self._measure(api, paths, MARKS["jobs"])

    @property
    def _most_tokens(self) -> int:
        return WARM_UP_TOKENS + self._tokens

    def _measure(self, api: ApiProcess, requests: Sequence[str], mark: str) -> float:
        """Raises `RuntimeError` where a token did not arrive."""
        with _reading(api.port, requests, mark) as result:
            claims = self._claim()
            self._feed(claims, range(1, WARM_UP_TOKENS + 1))
            before = api.cpu_s()
            self._feed(claims, range(WARM_UP_TOKENS + 1, self._most_tokens + 1))
            spent = api.cpu_s() - before
            self._end(claims)
            read = result()
        if read != Read(self._streams * self._most_tokens, self._streams):
            raise RuntimeError(f"of {self._streams} x {self._most_tokens} tokens came {read}")
        return spent * 1000 / (self._streams * self._tokens)

    def _claim(self) -> list[Claim]:
        claims: list[Claim] = []
        until = time.monotonic() + PATIENCE_S
        while len(claims) < self._streams:
            claims += self._queue.claim("bench", Room(self._streams, 10**9)).claims
            if time.monotonic() > until:
                raise TimeoutError(f"only {len(claims)} of {self._streams} jobs came")
        return claims

    def _feed(self, claims: Sequence[Claim], counts: range) -> None:
        """One token a job every step; it returns a step after the last."""
        due = time.monotonic()
        for count in counts:
            self._queue.publish(
                [Publication(claim, count, [TOKEN_ID], TEXT, age_s=0.0) for claim in claims]
            )
            due += STEP_S
            time.sleep(max(0.0, due - time.monotonic()))

    def _end(self, claims: Sequence[Claim]) -> None:
        text = TEXT * self._most_tokens
        usage = {"prompt_tokens": 1, "completion_tokens": self._most_tokens}
        result = {"text": text, "finish_reason": "length", "usage": usage}
        self._queue.finish(
            "bench",
            [
                Outcome(claim, Report(), self._most_tokens, result=result, reason="length")
                for claim in claims
            ],
        )


@contextmanager
def _reading(port: int, requests: Sequence[str], mark: str) -> Iterator[Callable[[], Read]]:
    """Clients that read from the entering on; the function gives what they have read to the end."""
    command = [sys.executable, "-m", "bench.stream_readers", str(port), "--mark", mark]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        lines = process.stdout
        process.stdin.write(json.dumps(requests))
        process.stdin.close()
        try:
            if lines.readline().strip() != READING:
                raise RuntimeError("the clients ended before their streams began")
            yield lambda: Read(**json.loads(lines.readline()))
        finally:
            process.kill()


def _request(line: str, body: str = "") -> str:
    """The text of an HTTP request."""
    head = [
        f"{line} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head) + f"\r\n\r\n{body}"


def measure(folder: Path, streams: int, tokens: int) -> dict[str, Any]:
    with Server(folder) as server:
        empty(server.client())
        CardStore(server.client()).put(CHAT_CARD)
        cost = StreamCost(server, streams, tokens)
        with ApiProcess("api.app:create_app()", REDIS_URL=server.url) as api:
            return {
                "chat_ms_per_token": round(cost.of_chat(api), 4),
                "jobs_ms_per_token": round(cost.of_jobs(api), 4),
                "streams": streams,
                "tokens": tokens,
                "step_s": STEP_S,
                "conditions": conditions(server.client()) | machine_conditions(),
            }


def targets(report: Mapping[str, Any]) -> list[Target]:
    return [
        Target(name, report[name], at_most=0.15)
        for name in ("chat_ms_per_token", "jobs_ms_per_token")
    ]


def main() -> None:
    arguments = _parse()
    with tempfile.TemporaryDirectory() as name:
        report = measure(Path(name), arguments.streams, arguments.tokens)
    report = {"command": " ".join(sys.orig_argv[1:])} | report
    hand_in(report, targets, arguments)


def _parse() -> argparse.Namespace:
    parser = make_parser("bench.stream_cost", __doc__)
    parser.set_defaults(json=parser.get_default("json").with_name("stream.json"))
    parser.add_argument("--streams", type=int, default=32, help="at once (default 32)")
    parser.add_argument("--tokens", type=int, default=200, help="of each (default 200)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
