"""What became of one request, as its sender saw it and as the server says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, Self

TOKENIZE, DELIVERY = "tokenize", "delivery"
STAGES = ("queue_wait", "prefill", "decode", "commit")
ALL_STAGES = (TOKENIZE, *STAGES, DELIVERY)
"""Add up to what the client saw: in the API before the queue, in the queue, and HTTP."""


@dataclass(frozen=True)
class ServerTimes:
    """A Headrace job's own account, in s; its stages add up to its life in the queue."""

    tokenize_s: float
    stages_s: Mapping[str, float]
    batch_size: float | None

    @property
    def total_s(self) -> float:
        return self.tokenize_s + sum(self.stages_s.values())

    @property
    def ttft_s(self) -> float | None:
        """None for a job without a first token."""
        if "prefill" not in self.stages_s:
            return None
        return self.tokenize_s + self.stages_s["queue_wait"] + self.stages_s["prefill"]

    @classmethod
    def of_job(cls, job: Mapping[str, Any]) -> Self:
        """From `GET /v1/jobs/{id}`. Raises `LookupError`, `TypeError` for another shape."""
        timings = job["timings"]
        stages = {name: ms / 1000 for name, ms in timings["stages_ms"].items() if name in STAGES}
        return cls(timings["tokenize_ms"] / 1000, stages, job["batch_size"])


@dataclass(slots=True)
class Record:
    """Times in s of the event loop's clock.

    `scheduled` is when the load wanted it sent: latency counts from there, so that neither a slow
    server nor a slow generator can hide behind a late send. `measured` is False in the warm-up.
    """

    scheduled: float
    measured: bool = True
    sent: float = 0.0
    first_token: float | None = None
    last_token: float | None = None
    done: float | None = None
    status: int | None = None
    error: str | None = None
    message: str = ""
    """What the server, or the connection, said about the error."""
    input_tokens: int | None = None
    output_tokens: int = 0
    tokens_counted: bool = False
    """True where the server gave no usage, so that chunks were counted."""
    cached_tokens: int | None = None
    """Input tokens that the server took from its prefix cache; None where it does not say."""
    turn: int = 1
    """Which turn of its conversation this is."""
    job_id: str | None = None
    server: ServerTimes | None = None

    @property
    def succeeded(self) -> bool:
        return self.done is not None and self.error is None

    @property
    def e2e_s(self) -> float:
        """From the scheduled send to the end of the answer; NaN before that."""
        return nan if self.done is None else self.done - self.scheduled

    @property
    def late_s(self) -> float:
        """How long after its time the request was sent."""
        return self.sent - self.scheduled

    @property
    def ttft_s(self) -> float | None:
        """As the client saw it, else as the server did."""
        if self.first_token is not None:
            return self.first_token - self.scheduled
        if self.server is None or self.server.ttft_s is None:
            return None
        return self.late_s + self.server.ttft_s

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first, as the client saw it.

        Too small where the first chunk held several tokens: nobody says how many.
        """
        if self.output_tokens < 2 or self.first_token is None or self.last_token is None:
            return None
        return (self.last_token - self.first_token) / (self.output_tokens - 1)

    @property
    def server_tpot_s(self) -> float | None:
        """The same from the server's own account of decoding."""
        if self.output_tokens < 2 or self.server is None or "decode" not in self.server.stages_s:
            return None
        return self.server.stages_s["decode"] / (self.output_tokens - 1)

    @property
    def known_tpot_s(self) -> float | None:
        """The server's where it says, else the client's."""
        server_s = self.server_tpot_s
        return self.tpot_s if server_s is None else server_s

    @property
    def batch_size(self) -> float | None:
        """Rows that shared its steps, in the mean."""
        return self.server.batch_size if self.server else None

    def stage_s(self, name: str) -> float | None:
        """What the server says about `tokenize` or a stage, and `delivery` beside that."""
        if name == DELIVERY:
            return self.delivery_s
        if self.server is None:
            return None
        return self.server.tokenize_s if name == TOKENIZE else self.server.stages_s.get(name)

    @property
    def delivery_s(self) -> float | None:
        """What the client saw beyond the server's account: HTTP, both ways."""
        if self.server is None or self.done is None:
            return None
        return self.done - self.sent - self.server.total_s
