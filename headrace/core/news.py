"""Messages of the scripts to all readers: which token streams grew, and by which entries.

One message for each call of a script, on one of the two channels. Its first line names the jobs,
separated by spaces; a line for each of them follows, in the same order. It tells the new entry of
the job's stream as a JSON array: place, token ids, text, RQ status, reason, logprobs. Values at the
end may be left out. An empty or missing line tells nothing: whoever follows that job reads its
stream. So a message of ids alone, as older scripts send it, still wakes everybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from typing import Any

from headrace.core import events
from headrace.core.events import TokenEvent
from headrace.core.jobs.rq_adapter import job_state
from headrace.core.types import TokenLogprobs


def job_ids(message: bytes) -> list[str]:
    """The jobs that a message names."""
    return message.partition(b"\n")[0].decode(errors="replace").split()


def read(message: bytes, followed: Set[str]) -> Iterator[tuple[str, TokenEvent | None]]:
    """Each followed job that a message names, with the entry that it tells; None: it tells none.

    The entries of other jobs are not decoded, since every process hears of all jobs.
    """
    named = job_ids(message)
    if followed.isdisjoint(named):
        return
    _head, *lines = message.decode(errors="replace").split("\n")
    if len(lines) != len(named):
        lines = [""] * len(named)
    for job_id, line in zip(named, lines, strict=True):
        if job_id in followed:
            yield job_id, _token_event(line)


def _token_event(line: str) -> TokenEvent | None:
    """Decodes a line; None where it tells nothing or this version does not understand it."""
    try:
        return _decode(*json.loads(line)) if line else None
    except (ValueError, TypeError, KeyError):
        return None


def _decode(
    place: str,
    token_ids: list[int],
    text: str,
    status: str = "",
    reason: str = "",
    logprobs: list[Any] | None = None,
) -> TokenEvent:
    events.count(place)  # a place that is none is of a version that we do not know
    return TokenEvent(
        place,
        tuple(token_ids),
        text,
        job_state(status, reason) if status else None,
        reason,
        tuple(map(TokenLogprobs.decode, logprobs or ())),
    )
