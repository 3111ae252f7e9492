"""Every Redis key of ours. RQ's own names stay in `rq_adapter`.

On each RQ job hash (`rq:job:ID`) we keep fields of our own, all prefixed `hr_`:

    hr_tokens hr_deadline                           what claim decides by
    hr_lease hr_attempt hr_deaths hr_ended_by       fencing: execution id, counts, who ended it
    hr_accepted hr_claimed hr_first_token hr_last_token hr_committed   Redis TIME, seconds
    hr_reason hr_report                             why it did not succeed; the worker's figures
    hr_replay_of hr_replayed_as                     dead letter, and the job made of it: ids
"""

from __future__ import annotations

from headrace.core.types import Priority

QUEUE_NAMES = {priority: f"headrace-{priority}" for priority in Priority}
"""RQ queue of each priority, in the order in which workers take from them."""

LEASES = "headrace:leases"
"""Sorted set: job id -> Redis TIME at which its lease ends."""

DOORBELL = "headrace:doorbell"
"""List on which idle workers block; submit rings it."""

COMPLETIONS = "headrace:completions"
"""Stream: one record for each ended job."""

DEAD = "headrace:dead"
"""Sorted set: id of a dead letter -> Redis TIME at which it is forgotten."""

COUNTS = "headrace:counts"
"""Hash: everything that was counted for the whole fleet; see `counters.py`."""

TOKENS_CHANNEL = "headrace:events:tokens"
ENDED_CHANNEL = "headrace:events:ended"
"""Pub/sub channels; a message is a space-separated list of job ids."""

CARD = "headrace:card"
"""Hash: `hash` and `card`, the encoded model card of this deployment."""

WORKERS = "headrace:workers"
"""Set of worker names; each beats into `worker(name)`."""


def priority_of(queue_name: str) -> Priority:
    """The priority of a job whose `origin` is this queue. Raises `ValueError` for another's."""
    for priority, name in QUEUE_NAMES.items():
        if name == queue_name:
            return priority
    raise ValueError(f"not a queue of Headrace: {queue_name!r}")


def stream(job_id: str) -> str:
    """Stream of a job's tokens; an entry's id is the number of tokens up to its end."""
    return f"headrace:stream:{job_id}"


def counted(worker_name: str) -> str:
    """Hash: how much of a worker's own counts stands in `COUNTS` already."""
    return f"headrace:counted:{worker_name}"


def worker(name: str) -> str:
    """String: a worker's last heartbeat as JSON; it expires with the worker."""
    return f"headrace:worker:{name}"
