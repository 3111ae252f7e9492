"""Every name and format of RQ that we rely on, public or not. Written for RQ 3.0.

RQ never runs our jobs: their function name is a label, their arguments are data. What a job looks
like in Redis is RQ's, so that `rq info`, rq-dashboard and stock workers understand it.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from redis.commands.core import Script
from rq import Queue
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from headrace.core.connection import Client
from headrace.core.histogram import E2E, TPOT
from headrace.core.jobs import keys
from headrace.core.settings import Settings
from headrace.core.types import JobState, Request

FUNCTION = "headrace.generate"
"""Label of our jobs; it names no importable function."""

HEARTBEAT_GRACE_S = 60
"""What RQ's SimpleWorker adds to a job's timeout before it counts as abandoned."""

EXPIRED = "expired"
"""Reason of a job whose deadline passed; RQ has no status for it."""

QUEUES_KEY = Queue.redis_queues_keys

_STATES = {
    JobStatus.CREATED: JobState.QUEUED,
    JobStatus.QUEUED: JobState.QUEUED,
    JobStatus.DEFERRED: JobState.QUEUED,
    JobStatus.SCHEDULED: JobState.QUEUED,
    JobStatus.RATE_LIMITED: JobState.QUEUED,
    JobStatus.READY_TO_ENQUEUE: JobState.QUEUED,
    JobStatus.STARTED: JobState.RUNNING,
    JobStatus.FINISHED: JobState.SUCCEEDED,
    JobStatus.FAILED: JobState.FAILED,
    JobStatus.STOPPED: JobState.CANCELLED,
    JobStatus.CANCELED: JobState.CANCELLED,
}


def job_state(status: str, reason: str = "") -> JobState:
    """What users see for an RQ status and our reason."""
    if status == JobStatus.FAILED and reason == EXPIRED:
        return JobState.EXPIRED
    return _STATES[JobStatus(status)]


def registries(state: JobState | None) -> list[str]:
    """Kinds of the registries in which jobs of a state stand; of every state for None."""
    kinds = {
        "wip": [JobState.RUNNING],
        "finished": [JobState.SUCCEEDED],
        "failed": [JobState.FAILED, JobState.EXPIRED],
        "canceled": [JobState.CANCELLED],
    }
    return [kind for kind, states in kinds.items() if state is None or state in states]


def job_key(job_id: str) -> str:
    return Job.key_for(job_id)


def queue_key(name: str) -> str:
    return f"{Queue.redis_queue_namespace_prefix}{name}"


def worker_key(name: str) -> str:
    return f"{RQ_KEY_PREFIX}:worker:{name}"


def results_key(job_id: str) -> str:
    return f"{RQ_KEY_PREFIX}:results:{job_id}"


def registry_key(kind: str, queue_name: str) -> str:
    """`kind` is `wip`, `finished`, `failed` or `canceled`."""
    return f"{RQ_KEY_PREFIX}:{kind}:{queue_name}"


def registered_workers(redis: Client) -> list[str]:
    """Names of all workers that RQ lists, alive or not."""
    prefix = worker_key("")
    registered = redis.smembers(f"{RQ_KEY_PREFIX}:workers")
    return [key.decode().removeprefix(prefix) for key in registered]


def forget_worker(redis: Client, name: str) -> None:
    """Strikes a dead worker off RQ's list, which would show it for minutes."""
    key = worker_key(name)
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.srem(f"{RQ_KEY_PREFIX}:workers", key)
        for queue_name in keys.QUEUE_NAMES.values():
            pipeline.srem(f"{RQ_KEY_PREFIX}:workers:{queue_name}", key)
        pipeline.delete(key, f"{key}:executions")
        pipeline.execute()


def timestamp() -> str:
    """Now, in RQ's format."""
    return utcformat(now())


def job_fields(request: Request, redis: Client, timeout_s: int, ttl_s: int) -> dict[str, Any]:
    """The hash of the RQ job that `Queue.enqueue` would write for this request."""
    job = Job.create(
        FUNCTION,
        args=(request.encode(),),
        connection=redis,
        id=request.id,
        serializer=JSONSerializer,
        origin=keys.QUEUE_NAMES[request.priority],
        description=f"{FUNCTION} {len(request.prompt_ids)} prompt tokens",
        timeout=timeout_s,
        result_ttl=ttl_s,
        failure_ttl=ttl_s,
        status=JobStatus.QUEUED,
    )
    job.enqueued_at = now()
    return job.to_dict()


def decode_request(data: bytes) -> Request:
    """The request in an RQ job's `data`.

    Raises `ValueError` for a job that is not ours or that this version cannot read.
    """
    try:
        function, _instance, args, _kwargs = json.loads(zlib.decompress(data))
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError("not a job of Headrace: its data are not RQ's JSON") from error
    if function != FUNCTION:
        raise ValueError(f"not a job of Headrace: function {function!r}")
    if not (isinstance(args, list) and len(args) == 1 and isinstance(args[0], dict)):
        raise ValueError("malformed payload: one object is expected")
    return Request.decode(args[0])


def encode_return_value(value: object) -> str:
    return b64encode(json.dumps(value).encode()).decode()


def encode_exc_string(text: str) -> str:
    return b64encode(zlib.compress(text.encode())).decode()


def decode_result(fields: Mapping[bytes, bytes]) -> tuple[dict[str, Any] | None, str | None]:
    """Return value and error text of an entry of a job's results."""
    value, error = fields.get(b"return_value"), fields.get(b"exc_string")
    return (
        json.loads(b64decode(value)) if value else None,
        zlib.decompress(b64decode(error)).decode() if error else None,
    )


def load_script(redis: Client, name: str, settings: Settings) -> Script:
    """A script of `scripts/` with the shared functions in front of it."""
    folder = files("headrace.core.jobs") / "scripts"
    common = (folder / "common.lua").read_text()
    for placeholder, value in {
        "{rq}": RQ_KEY_PREFIX,
        "{leases}": keys.LEASES,
        "{doorbell}": keys.DOORBELL,
        "{completions}": keys.COMPLETIONS,
        "{ended_channel}": keys.ENDED_CHANNEL,
        "{tokens_channel}": keys.TOKENS_CHANNEL,
        "{dead}": keys.DEAD,
        "{counts}": keys.COUNTS,
        "{counting}": str(settings.metrics).lower(),
        "{latency_s}": _lua_list(E2E.labels[:-1]),
        "{token_latency_s}": _lua_list(TPOT.labels[:-1]),
        "{slo_latency_s}": repr(settings.slo_latency_s),
        "{slo_tpot_s}": repr(settings.slo_tpot_s),
    }.items():
        common = common.replace(placeholder, value)
    script: Script = redis.register_script(common + (folder / f"{name}.lua").read_text())
    return script


def _lua_list(texts: Iterable[str]) -> str:
    return "{" + ", ".join(f"'{text}'" for text in texts) + "}"
