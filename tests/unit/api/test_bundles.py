"""Submissions that share a round trip: each gets what it would have got alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from flask import Flask
from redis.exceptions import ConnectionError

from api.bundles import MOST, Bundles
from headrace.core.connection import Client
from headrace.core.errors import QueueFull
from headrace.core.jobs.handover import Submitted
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.submission import Answer, Call, Submission
from headrace.core.settings import Settings
from tests.fakes import make_request


class Gate(JobQueue):
    """A queue that writes down its bundles; the first one waits until the gate is open."""

    def __init__(self, redis: Client, settings: Settings) -> None:
        super().__init__(redis, settings)
        self.bundles: list[int] = []
        self.is_open, self.is_reached = Event(), Event()

    def send_many(self, calls: Sequence[Call]) -> list[Answer]:
        self.bundles.append(len(calls))
        self.is_reached.set()
        assert self.is_open.wait(10)
        return super().send_many(calls)


@pytest.fixture
def gate(redis: Client, settings: Settings) -> Iterator[Gate]:
    gate = Gate(redis, settings.model_copy(update={"queue_max_jobs": 3}))
    yield gate
    gate.is_open.set()


def send(bundles: Bundles, job_id: str) -> Submitted:
    with Flask("test").app_context():
        return bundles.send(Submission([make_request(job_id)]))[0]


def send_all(bundles: Bundles, ids: Sequence[str]) -> list[Submitted | BaseException]:
    """All at the same time; what each got."""
    start = Barrier(len(ids))

    def one(job_id: str) -> Submitted | BaseException:
        start.wait()
        try:
            return send(bundles, job_id)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(ids)) as pool:
        return list(pool.map(one, ids))


def test_a_submission_that_comes_alone_goes_at_once(gate: Gate) -> None:
    gate.is_open.set()
    assert send(Bundles(gate), "job-1").job_id == "job-1"
    assert gate.bundles == [1]


def test_nobody_waits_for_those_who_are_on_their_way(gate: Gate) -> None:
    bundles = Bundles(gate)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, bundles, "job-1")
        assert gate.is_reached.wait(10)
        gate.is_reached.clear()
        second = pool.submit(send, bundles, "job-2")
        assert gate.is_reached.wait(10)
        gate.is_open.set()
        assert {first.result().job_id, second.result().job_id} == {"job-1", "job-2"}


def test_each_gets_the_answer_to_its_own_submission(gate: Gate) -> None:
    gate.is_open.set()
    ids = [f"job-{number}" for number in range(8)]

    got = send_all(Bundles(gate), ids)
    accepted = {answer.job_id for answer in got if isinstance(answer, Submitted)}
    assert len(accepted) == gate.waiting() == 3
    for job_id, answer in zip(ids, got, strict=True):
        if isinstance(answer, Submitted):
            assert answer.job_id == job_id
        else:
            assert isinstance(answer, QueueFull)


def test_where_redis_is_away_all_of_a_bundle_are_told(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(calls: Sequence[Call]) -> list[Answer]:
        raise ConnectionError("away")

    monkeypatch.setattr(gate, "send_many", away)
    got = send_all(Bundles(gate), ["job-1", "job-2", "job-3"])
    assert [type(answer) for answer in got] == [ConnectionError] * 3


def test_a_bundle_is_what_redis_does_in_a_moment(redis: Client, settings: Settings) -> None:
    gate = Gate(redis, settings)
    gate.is_open.set()

    got = send_all(Bundles(gate), [f"job-{number}" for number in range(2 * MOST)])
    assert sum(gate.bundles) == gate.waiting() == len(got)
    assert max(gate.bundles) <= MOST
