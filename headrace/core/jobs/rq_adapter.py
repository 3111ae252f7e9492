"""Every name and format of RQ that we rely on, public or not. Written for RQ 3.0.

RQ never runs our jobs: their function name is a label, their arguments are data. What a job looks
like in Redis is RQ's, so that `rq info`, rq-dashboard and stock workers understand it.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any

import orjson
import structlog
from pydantic_core import from_json, to_json
from redis.commands.core import Script
from redis.exceptions import RedisError
from rq import Queue
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job, JobStatus
from rq.registry import ReadyJobRegistry
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now, utcformat

from headrace.core.connection import Client
from headrace.core.histogram import E2E, TPOT
from headrace.core.jobs import keys
from headrace.core.settings import Settings
from headrace.core.types import CANARY_TENANT, JobState, Priority, Request

log = structlog.get_logger()

FUNCTION = "headrace.generate"
"""Label of our jobs; it names no importable function."""

SUSPECT_DEATHS = 2
"""From so many worker deaths a job runs alone."""

EXPIRED = "expired"
"""Reason of a job whose deadline passed; RQ has no status for it."""

CANCELLED, DISCONNECTED = "cancelled", "disconnected"
"""Reasons of a cancelled job: somebody asked for it, or its caller hung up."""

MOST_DATA_BYTES = 64 * 2**20
"""Most bytes that a job's data may unpack to; the API takes bodies of a few MB."""

TTL_FIELDS = ("result_ttl", "failure_ttl")

QUEUES_KEY = Queue.redis_queues_keys
SUSPENDED_KEY = WORKERS_SUSPENDED

_PART = re.compile(r"^local .*?(?=^local |\Z)", re.MULTILINE | re.DOTALL)
"""A top-level local of `common.lua`, up to the next."""

_PRIORITIES = {name: priority for priority, name in keys.QUEUE_NAMES.items()}

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


def job_key(job_id: str) -> str:
    return Job.key_for(job_id)


def queue_key(name: str) -> str:
    return f"{Queue.redis_queue_namespace_prefix}{name}"


def worker_key(name: str) -> str:
    return f"{RQ_KEY_PREFIX}:worker:{name}"


def results_key(job_id: str) -> str:
    return f"{RQ_KEY_PREFIX}:results:{job_id}"


def registry_key(kind: str, queue_name: str) -> str:
    """`kind` is `wip`, `finished`, `failed`, `canceled`, `scheduled` or `deferred`."""
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


def enqueue_dependents(redis: Client) -> None:
    """Lets RQ enqueue the jobs that depend on ended ones; called again, it does so once."""
    for job_id, status in redis.hgetall(keys.PARENTS).items():
        with _survives_foreign_jobs(job_id.decode()):
            parent = Job(job_id.decode(), connection=redis, serializer=JSONSerializer)
            parent._status = JobStatus(status.decode())  # it may be gone: result_ttl 0
            queue = Queue(connection=redis, serializer=JSONSerializer)
            queue.enqueue_dependents(parent, refresh_job_status=False)
        redis.hdel(keys.PARENTS, job_id)
    for name in keys.QUEUE_NAMES.values():  # those whose process died between RQ's two steps
        with _survives_foreign_jobs(name):
            ReadyJobRegistry(name, connection=redis, serializer=JSONSerializer).cleanup()
    redis.lpush(keys.DOORBELL, "1")


@contextmanager
def _survives_foreign_jobs(of: str) -> Iterator[None]:
    """A dependent that RQ cannot read must not stop those who finish and sweep."""
    try:
        yield
    except RedisError:
        raise
    except Exception as error:
        log.error("RQ cannot enqueue dependents", of=of, error=repr(error))


def timestamp() -> str:
    """Now, in RQ's format."""
    return utcformat(now())


def constant_fields(redis: Client, settings: Settings) -> list[Any]:
    """Names and values of what `Queue.enqueue` writes for all of our jobs alike.

    Made once, as RQ takes its time.
    """
    job = Job.create(
        FUNCTION,
        connection=redis,
        serializer=JSONSerializer,
        timeout=settings.job_timeout_s,
        result_ttl=settings.result_ttl_s,
        failure_ttl=settings.result_ttl_s,
        status=JobStatus.QUEUED,
    )
    if settings.max_retries:
        job.retries_left = settings.max_retries
        job.retry_intervals = retry_intervals(settings)
    changing = {"created_at", "enqueued_at", "data", "description", "origin"}
    fields = {name: value for name, value in job.to_dict().items() if name not in changing}
    return [part for field in fields.items() for part in field]


def moment_fields() -> list[Any]:
    """Names and values of what `Queue.enqueue` would write for all jobs of this moment alike."""
    created = timestamp()
    return ["created_at", created, "enqueued_at", created]


def job_fields(request: Request) -> list[Any]:
    """Names and values of a job's own; those that the queue heeds are written by `submit.lua`.

    A higher level of compression takes twice as long and saves nothing: the payload is short.
    """
    data = orjson.dumps((FUNCTION, None, (request.encode(),), {}))
    fields = [
        *("data", zlib.compress(data, level=1)),
        *("description", f"{FUNCTION} {len(request.prompt_ids)} prompt tokens"),
        *("hr_version", request.version),
        *("hr_model", request.model),
    ]
    if request.sampling.expected_tokens:
        fields += ["hr_expected", request.left_tokens(0), "hr_bound", request.cost_tokens]
    if request.ttl_s is not None:
        fields += [part for name in TTL_FIELDS for part in (name, request.ttl_s)]
    return fields


def retry_intervals(settings: Settings) -> list[int]:
    """Seconds before each retry, as RQ's `Retry` has them."""
    doubled = (settings.retry_first_s * 2**number for number in range(settings.max_retries))
    return [min(interval, settings.retry_most_s) for interval in doubled]


def priority_of(queue_name: str) -> Priority:
    """Raises `ValueError` for a queue that is not ours."""
    try:
        return _PRIORITIES[queue_name]
    except KeyError:
        raise ValueError(f"not a queue of Headrace: {queue_name!r}") from None


def decode_request(job_id: str, data: bytes, queue_name: str) -> Request:
    """The request in an RQ job's `data`, under the job's id and with the priority of its queue.

    Raises `ValueError` for a job that is not ours or that this version cannot read.
    """
    priority = priority_of(queue_name)
    try:
        function, _instance, args, _kwargs = from_json(_decompress(data))
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError("not a job of Headrace: its data are not RQ's JSON") from error
    if function != FUNCTION:
        raise ValueError(f"not a job of Headrace: function {function!r:.100}")
    if not (isinstance(args, list) and len(args) == 1 and isinstance(args[0], dict)):
        raise ValueError("malformed payload: one object is expected")
    return Request.decode(args[0], id=job_id, priority=priority)


def request_ids(redis: Client, job_ids: Sequence[str]) -> dict[str, str]:
    """For log lines: the ids of the HTTP requests that brought these jobs, as far as known."""
    try:
        with redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hmget(job_key(job_id), "data", "origin")
            rows = pipeline.execute() if job_ids else []
    except RedisError:
        return {}
    found = {}
    for job_id, (data, queue) in zip(job_ids, rows, strict=True):
        with suppress(ValueError):  # gone, or not ours
            request = decode_request(job_id, data or b"", (queue or b"").decode())
            found[job_id] = request.request_id
    return found


def _decompress(data: bytes) -> bytes:
    """Anybody may write to a queue: a small job must not unpack to all of our memory."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, MOST_DATA_BYTES)
    if inflater.unconsumed_tail:
        raise ValueError(f"more than {MOST_DATA_BYTES} bytes of data")
    return text


def encode_return_value(value: object) -> str:
    return b64encode(to_json(value)).decode()


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
    """Reads a script of `scripts/` and puts the shared parts that it uses in front of it."""
    folder = files("headrace.core.jobs") / "scripts"
    text = (folder / f"{name}.lua").read_text()
    common = _used_parts((folder / "common.lua").read_text(), text)
    for placeholder, value in {
        "{rq}": RQ_KEY_PREFIX,
        "{queues}": _lua_list(keys.QUEUE_NAMES.values()),
        "{leases}": keys.LEASES,
        "{expiries}": keys.EXPIRIES,
        "{doorbell}": keys.DOORBELL,
        "{aside}": keys.ASIDE,
        "{draining}": keys.DRAINING,
        "{isolator}": keys.ISOLATOR,
        "{parents}": keys.PARENTS,
        "{completions}": keys.COMPLETIONS,
        "{ended_channel}": keys.ENDED_CHANNEL,
        "{tokens_channel}": keys.TOKENS_CHANNEL,
        "{dead}": keys.DEAD,
        "{jobs}": keys.JOBS,
        "{counts}": keys.COUNTS,
        "{pace}": keys.PACE,
        "{canary}": CANARY_TENANT,
        "{counting}": str(settings.metrics).lower(),
        "{latency_s}": _lua_list(E2E.bounds),
        "{latency_labels}": _lua_list(E2E.labels[:-1]),
        "{token_latency_s}": _lua_list(TPOT.bounds),
        "{token_latency_labels}": _lua_list(TPOT.labels[:-1]),
        "{slo_latency_s}": repr(settings.slo_latency_s),
        "{slo_tpot_s}": repr(settings.slo_tpot_s),
        "{lease_s}": repr(settings.lease_s),
        "{result_ttl_s}": repr(settings.result_ttl_s),
        "{queue_ttl_s}": repr(settings.queue_ttl_s),
        "{suspect_deaths}": repr(SUSPECT_DEATHS),
        "{completion_log_max}": repr(settings.completion_log_max),
    }.items():
        common = common.replace(placeholder, value)
    script: Script = redis.register_script(common + text)
    return script


def _used_parts(common: str, script: str) -> str:
    """Drops the top-level locals of `common` that neither the script nor a kept part names.

    Each run of a script makes all of its functions anew. A part uses only those in front of it.
    """
    kept: list[str] = []
    words = _words(script)
    for part in reversed(_PART.findall(common)):
        declared = part.removeprefix("local function ").removeprefix("local ")
        names = re.split(r"[=(]", declared, maxsplit=1)[0]
        if _words(names) & words:
            kept.append(part)
            words |= _words(part)
    return "".join(reversed(kept))


def _words(code: str) -> set[str]:
    return set(re.findall(r"\w+", re.sub(r"--.*", "", code)))


def _lua_list(values: Iterable[str | float]) -> str:
    return "{" + ", ".join(repr(str(v) if isinstance(v, str) else v) for v in values) + "}"
