"""What anybody may write into Redis: nothing of it is imported, unpickled or called."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from rq import Callback, Queue, Repeat
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rq_adapter import MOST_DATA_BYTES
from headrace.core.types import PAYLOAD_VERSION
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one


def enqueue(redis: Client, function: Any = "headrace.generate", **options: Any) -> None:
    queue = Queue("headrace-default", connection=redis, serializer=JSONSerializer)
    queue.enqueue_call(function, (make_request().encode(),), job_id="job-1", **options)


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ({"on_success": Callback("os.system")}, "success_callback_name"),
        ({"on_failure": Callback("os.system")}, "failure_callback_name"),
        ({"on_stopped": Callback("os.system")}, "stopped_callback_name"),
        ({"repeat": Repeat(times=3)}, "repeats_left"),
    ],
)
def test_a_job_with_what_we_do_not_do_is_refused(
    queue: JobQueue, redis: Client, option: dict[str, Any], field: str
) -> None:
    enqueue(redis, **option)

    claim = claim_one(queue)
    assert claim.request is None
    assert field in claim.refusal


def test_a_pickle_is_refused_and_not_unpickled(queue: JobQueue, redis: Client) -> None:
    Queue("headrace-default", connection=redis).enqueue(print, "unpickled", job_id="job-1")

    claim = claim_one(queue)
    assert claim.request is None
    assert "not RQ's JSON" in claim.refusal


def test_a_function_of_another_name_is_refused(queue: JobQueue, redis: Client) -> None:
    enqueue(redis, "os.getpid")

    assert "os.getpid" in claim_one(queue).refusal


def test_data_that_unpack_to_all_memory_are_refused(queue: JobQueue, redis: Client) -> None:
    enqueue(redis)
    bomb = zlib.compress(b" " * (MOST_DATA_BYTES + 1))
    redis.hset("rq:job:job-1", "data", bomb)

    assert claim_one(queue).request is None


def test_a_job_is_known_by_rqs_id_whatever_its_payload_says(queue: JobQueue, redis: Client) -> None:
    stock = Queue("headrace-default", connection=redis, serializer=JSONSerializer)
    stock.enqueue_call("headrace.generate", (make_request("inner").encode(),), job_id="outer")

    claim = claim_one(queue)
    assert claim.request is not None
    assert claim.request.id == claim.job_id == "outer"


def test_a_payload_of_a_newer_version_is_left_to_newer_workers(
    queue: JobQueue, redis: Client
) -> None:
    queue.submit(make_request("newer"))
    queue.submit(make_request("ours"))
    redis.hset("rq:job:newer", "hr_version", PAYLOAD_VERSION + 1)

    assert [claim.job_id for claim in queue.claim("worker-1", ROOM).claims] == ["ours"]
    assert queue.waiting() == 1
