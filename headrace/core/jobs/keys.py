"""Every Redis key of ours. RQ's own names stay in `rq_adapter`.

On each RQ job hash (`rq:job:ID`) we keep fields of our own, all prefixed `hr_`:

    hr_tokens hr_tenant hr_version hr_deadline hr_expires   what claim and sweep decide by
    hr_lease hr_attempt hr_ended_by   fencing: execution id, count, who ended it
    hr_deaths hr_died hr_alone        worker deaths: count, JSON list; whether it runs alone
    hr_preempted                      how often it has made room for interactive work
    hr_accepted hr_claimed hr_first_token hr_last_token hr_committed   Redis TIME, seconds
    hr_reason hr_report               why it did not succeed; the worker's figures
    hr_card hr_model                  hash of the model's card that it was tokenised for; its name
    hr_replay_of hr_replayed_as       ids: the dead letter it replays; the job that replays it
    hr_idempotency                    Redis key of the caller's Idempotency-Key
    hr_timeline                       lines of JSON: each claim, and what became of it
"""

from __future__ import annotations

from hashlib import sha256

from headrace.core.types import Priority

QUEUE_NAMES = {priority: f"headrace-{priority}" for priority in Priority}
"""RQ queue of each priority, in the order in which workers take from them.

Beside each stand `headrace:fair:QUEUE` (sorted set: waiting job -> fair-share tag, +inf for one
that must run alone), `headrace:line:QUEUE` (sorted set: the same jobs in the order of RQ's list),
`headrace:tenants:QUEUE` (sorted set: tenant -> the tag of its next job) and `headrace:share:QUEUE`
(hash: virtual time, ends of the line, waiting tokens) and
`headrace:costs:QUEUE` (hash: job -> tokens it counts for); see `scripts/common.lua`. Jobs that
are set aside for a card have keys of their own under the name `aside(QUEUE, CARD)`.
"""

LEASES = "headrace:leases"
"""Sorted set: job id -> Redis TIME at which its lease ends."""

EXPIRIES = "headrace:expiries"
"""Sorted set: waiting job id -> Redis TIME at which it ends as expired."""

DOORBELL = "headrace:doorbell"
"""List on which idle workers block; submit rings it."""

ASIDE = "headrace:aside"
"""Hash: hash of each model card that jobs are set aside for -> name of the model."""

DRAINING = "headrace:draining"
"""Set: names of the workers that are to take no more jobs."""

ISOLATOR = "headrace:isolator"
"""Hash: `worker` empties itself `until`, to run a suspect; `job` has run alone `since`."""

PARENTS = "headrace:parents"
"""Hash: ended job -> its status, until RQ has enqueued the jobs that depend on it."""

COMPLETIONS = "headrace:completions"
"""Stream: one record for each ended job: id, status, reason, report (JSON) and its five stamps."""

DEAD = "headrace:dead"
"""Sorted set: id of a dead letter -> Redis TIME at which it is forgotten."""

JOBS = "headrace:jobs"
"""Sorted set: id of each job that is kept -> Redis TIME at which it was accepted."""

COUNTS = "headrace:counts"
"""Hash: everything that was counted for the whole fleet; see `counters.py`."""

PACE = "headrace:pace"
"""Hash: since when the fleet is full, and the sums of what ended lately; see `pace.py`.

`owed_until` is the Redis TIME by which all refused work will have been called back.
"""

TOKENS_CHANNEL = "headrace:events:tokens"
ENDED_CHANNEL = "headrace:events:ended"
"""Pub/sub channels; a message names jobs and tells their new entries, see `news.py`."""

API_KEYS = "headrace:api-keys"
"""Hash: id of an API key -> the key as JSON; `LOCKED` -> Redis TIME at which the first was made."""

LOCKED = "locked"

NOTHING = "headrace:nothing"
"""A list that never is: to push to it only if it exists shows whether the server takes writes.

It also stands where a script takes a key and there is none.
"""

CARD = "headrace:card"
"""Hash: `hash`, `name`, `card` and `extras`, the encoded model card of this deployment."""

WORKERS = "headrace:workers"
"""Set of worker names; each beats into `worker(name)`."""

STARTING = "headrace:starting"
"""Hash: worker that still loads its model -> Redis TIME at which its process began."""

COLD_STARTS = "headrace:cold-starts"
"""List: seconds from a process's begin to a ready worker, the newest first."""

DEATHS = "headrace:deaths"
"""Sorted set: worker that died of itself -> Redis TIME; of the present deployment alone."""

FLEET = "headrace:fleet"
"""Hash: the wanted number of workers and what people want of it; see `desired_fleet.py`."""

SURPLUS = "headrace:surplus"
"""Set: workers that drain because the fleet is too large; each stands in `DRAINING` as well."""

DISMISSED = "headrace:dismissed"
"""Set: drained workers that are told to end: these cannot be called back."""

SCALER = "headrace:scaler"
"""Hash: `holder`, `until` and `fence` of the lease under which one scaler acts."""

ALERTS = "headrace:alerts"
"""Hash: name of an alert that the monitor has raised -> the alert as JSON."""

DECISIONS = "headrace:decisions"
"""Stream: what the scaler read, wanted and did; see `decision_log.py`."""


def stream(job_id: str) -> str:
    """Stream of a job's tokens; an entry's id is the number of tokens up to its end."""
    return f"headrace:stream:{job_id}"


def counted(worker_name: str) -> str:
    """Hash: how much of a worker's own counts stands in `COUNTS` already."""
    return f"headrace:counted:{worker_name}"


def fair(queue_name: str) -> str:
    """Sorted set: waiting job id -> fair-share tag; the lowest is claimed first."""
    return f"headrace:fair:{queue_name}"


def share(queue_name: str) -> str:
    """Hash: `now` (virtual time), `first` and `last` of the line, `tokens` of all that waits."""
    return f"headrace:share:{queue_name}"


def aside(queue_name: str, card_hash: str) -> str:
    """Name under which jobs of a queue wait that are set aside for a card: for `fair`, `share`, …

    Their line is in the order of their acceptance (Redis TIME), since no list of RQ has them.
    """
    return f"{queue_name}@{card_hash}"


def line(queue_name: str) -> str:
    """Sorted set: waiting job id -> its place in RQ's list; see `aside`."""
    return f"headrace:line:{queue_name}"


def bell(card_hash: str) -> str:
    """List: a doorbell for the workers of one card, rung when jobs were set aside for it."""
    return f"{DOORBELL}:{card_hash}"


def serving(card_hash: str) -> str:
    """String that expires with the last worker that takes jobs of this card."""
    return f"headrace:serving:{card_hash}"


def unfinished(tenant: str) -> str:
    """Hash: waiting or running job of a tenant -> its cost in tokens; `:tokens` -> their sum."""
    return f"headrace:unfinished:{tenant}"


def rate(key_id: str) -> str:
    """Hash: `jobs` and `tokens` of an API key in the minute `since` then and the one `…_before`."""
    return f"headrace:rate:{key_id}"


def idempotency(tenant: str, key: str) -> str:
    """Hash: `ids` of the jobs that were accepted under a tenant's key, and the `fingerprint`.

    A digest, which has no separator in it: two tenants never share one.
    """
    return f"headrace:idempotency:{tenant}:{sha256(key.encode()).hexdigest()}"


def slo(day: str) -> str:
    """Hash: minute of a day (YYYY-MM-DD, UTC) -> totals until then; see `slo_store.py`."""
    return f"headrace:slo:{day}"


def schema_questions(engine: str, card_hash: str) -> str:
    """List: JSON schemas that wait for a trial by any worker with this engine and card."""
    return f"headrace:schema-questions:{engine}:{card_hash}"


def schema_question(engine: str, card_hash: str, digest: str) -> str:
    """String that expires when nobody waits for the schema's trial any more."""
    return f"headrace:schema-question:{engine}:{card_hash}:{digest}"


def schema_verdict(engine: str, card_hash: str, digest: str) -> str:
    """String: what became of a schema's trial, as JSON; see `json_schema/verdict.py`."""
    return f"headrace:schema-verdict:{engine}:{card_hash}:{digest}"


def worker(name: str) -> str:
    """String: a worker's last heartbeat as JSON; it expires with the worker."""
    return f"headrace:worker:{name}"
