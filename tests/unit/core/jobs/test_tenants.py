"""Lists and looks that are one tenant's alone."""

from __future__ import annotations

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from headrace.core.connection import Client
from headrace.core.errors import JobNotFound
from headrace.core.jobs import job_list
from headrace.core.jobs.dead_letters import DeadLetters
from headrace.core.jobs.job_list import Place, read_page
from headrace.core.jobs.queue import JobQueue
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, bury


def test_a_job_is_its_tenants(queue: JobQueue) -> None:
    queue.submit(make_request("a1", tenant="a"))

    assert queue.tenant_of("a1") == "a"
    with pytest.raises(JobNotFound):
        queue.tenant_of("nobody")


def test_a_job_of_stock_rq_is_the_default_tenants(queue: JobQueue, redis: Client) -> None:
    stock = Queue("headrace-default", connection=redis, serializer=JSONSerializer)
    stock.enqueue("headrace.generate", job_id="stock")

    assert queue.tenant_of("stock") == "default"


@pytest.mark.parametrize("state", [None, JobState.QUEUED])
def test_a_list_is_filled_with_the_tenants_own_jobs_behind_any_number_of_others(
    queue: JobQueue, state: JobState | None
) -> None:
    for number in range(5):
        queue.submit(make_request(f"a{number}", tenant="a"))
    queue.submit_many([make_request(f"b{number}", tenant="b") for number in range(300)])

    page = read_page(queue, 3, state=state, tenant="a")
    assert [job.id for job in page.jobs] == ["a4", "a3", "a2"]
    rest = read_page(queue, 3, page.behind, state, tenant="a")
    assert ([job.id for job in rest.jobs], rest.behind) == (["a1", "a0"], None)


def test_a_list_ends_without_a_word_of_others(queue: JobQueue) -> None:
    queue.submit_many([make_request(f"b{number}", tenant="b") for number in range(300)])

    page = read_page(queue, 3, tenant="a")
    assert (page.jobs, page.behind) == ([], None)


def test_a_list_that_looked_at_enough_of_others_goes_on_behind_them_and_names_none(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "CHUNK", 10)
    queue.submit(make_request("a1", tenant="a"))
    for number in range(150):  # each at a time of its own
        queue.submit(make_request(f"b{number}", tenant="b"))

    page = read_page(queue, 3, tenant="a")
    assert page.jobs == []
    assert page.behind is not None and page.behind.job_id == ""
    rest = read_page(queue, 3, Place.decode(page.behind.encode()), tenant="a")
    assert ([job.id for job in rest.jobs], rest.behind) == (["a1"], None)


def test_a_list_holds_the_tenants_jobs_of_every_state(queue: JobQueue) -> None:
    for tenant in ("a", "b"):
        queue.submit(make_request(f"running-{tenant}", tenant=tenant))
    queue.claim("worker-1", ROOM)
    for tenant in ("a", "b"):
        queue.submit(make_request(f"waiting-{tenant}", tenant=tenant))
        queue.submit(make_request(f"cancelled-{tenant}", tenant=tenant))
        queue.cancel(f"cancelled-{tenant}")

    assert {job.id for job in read_page(queue, 10, tenant="a").jobs} == {
        "running-a",
        "waiting-a",
        "cancelled-a",
    }


def test_dead_letters_are_their_tenants(queue: JobQueue) -> None:
    letters = DeadLetters(queue)
    for name in ("a1", "b1", "a2", "b2"):
        bury(queue, make_request(name, tenant=name[0]))

    assert {letter.job_id for letter in letters.list(2, tenant="a")} == {"a1", "a2"}
    assert len(letters.list(10)) == 4
    assert letters.purge_all(tenant="a") == 2
    assert {letter.job_id for letter in letters.list(10)} == {"b1", "b2"}
